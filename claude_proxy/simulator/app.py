"""The HTTP server: takes requests, refuses what the real API refuses, and sends what the script says."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self

import msgspec
from aiohttp import web

from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.errors import BadRequest, NotFound, ProxyError, TooLarge
from claude_proxy.simulator.call import OK, Call
from claude_proxy.simulator.catalog import model_info, model_list
from claude_proxy.simulator.demo import answer as demo_answer
from claude_proxy.simulator.demo import compelled
from claude_proxy.simulator.models import MODELS, ModelRules
from claude_proxy.simulator.render import Rendered, render
from claude_proxy.simulator.script import Json, Reply, text
from claude_proxy.simulator.seen import Seen
from claude_proxy.simulator.streaming import cut, garbage, half, hang, stream
from claude_proxy.simulator.tokens import PromptCache, count_tokens
from claude_proxy.simulator.validate import check

BODY_LIMIT = 32 << 20
_decode = msgspec.json.Decoder(Json).decode

Handler = Callable[[Call], Awaitable[web.StreamResponse]]


class Simulator:
    """A Messages API on a loopback port; ``async with`` starts and closes it.

    Args:
        answer: Gives the reply to a request body, when the queue is empty. Default: a different short text each time.
        strict: Refuse what the real API refuses.
        models: The models there are, and their rules.
        demo: Answer as the demo does, when the queue is empty and there is no ``answer``.
        keeps: Keep every request to be looked at: not where it runs for as long as somebody likes.

    Attributes:
        queue: Replies for the next requests; each is used once, by a request that isn't refused.
        seen: Every request to ``/v1/messages``, refused ones too.
        counted: Every request to ``/v1/messages/count_tokens``.
        active: How many requests to ``/v1/messages`` are open now.
        base_url: Where it listens, once started.
    """

    def __init__(
        self,
        answer: Callable[[Json], Reply] | None = None,
        *,
        strict: bool = True,
        models: dict[str, ModelRules] | None = None,
        demo: bool = False,
        keeps: bool = True,
    ) -> None:
        self.queue: deque[Reply] = deque()
        self.seen: list[Seen] = []
        self.counted: list[Seen] = []
        self.active = 0
        self.base_url = ""
        self._answer = answer or (demo_answer if demo else self._default)
        self._strict = strict
        self._keeps = keeps
        self._models = MODELS if models is None else models
        self._replies = 0
        self._signatures: set[str] = set()
        self._cache = PromptCache()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on ``port`` of 127.0.0.1; 0 is any free one."""
        app = web.Application(client_max_size=1 << 30)
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/messages", self._messages),
            ("POST", "/v1/messages/count_tokens", self._count_tokens),
            ("GET", "/v1/models", self._list_models),
            ("GET", "/v1/models/{id}", self._one_model),
            ("GET", "/", _hello),
            ("HEAD", "/", _hello),
            ("GET", "/api/hello", _hello),
            ("HEAD", "/api/hello", _hello),
            ("*", "/{rest:.*}", _unknown),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, self._route(handler))
        # A cancelled handler is how the simulator learns that its client has gone.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop listening, and drop what is open."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _route(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Wrap a handler: no answer without a key, and each failure in the API's shape."""

        async def answered(request: web.Request) -> web.StreamResponse:
            call = Call(request)
            try:
                if request.path.startswith("/v1/"):
                    call.check_access(strict=self._strict)
                return await handler(call)
            except ProxyError as error:
                return call.refused(error)
            except RecursionError:
                return call.refused(BadRequest("The request body is nested too deeply"))

        return answered

    async def _messages(self, call: Call) -> web.StreamResponse:
        self.active += 1
        seen = call.seen()
        try:
            return await self._answered(call, seen)
        except ProxyError as error:
            seen.status, seen.problem = error.status, error.message
            raise
        except (asyncio.CancelledError, ConnectionError):
            seen.gone = self._runner is not None
            raise
        finally:
            self.active -= 1

    async def _answered(self, call: Call, seen: Seen) -> web.StreamResponse:
        data = await call.request.read()
        if self._keeps:
            self.seen.append(seen)
        seen.body = self._body(data)
        if self._strict:
            check(seen.body, self._models, self._signatures)
        reply = self.queue.popleft() if self.queue else self._answer(seen.body)
        if reply.silent:
            await hang()
        await asyncio.sleep(reply.first_byte_seconds)
        seen.status = reply.status
        if reply.cut_after == 0:
            return cut(call)
        return await self._sent(call, reply, seen)

    async def _sent(self, call: Call, reply: Reply, seen: Seen) -> web.StreamResponse:
        streamed = bool(seen.body.get("stream"))
        response: web.StreamResponse
        if reply.raw is not None:
            response = garbage(call, reply, streamed=streamed)
        elif reply.error is not None and (reply.error_after is None or not streamed):
            response = call.json(call.failure(reply.error), status=reply.status, over=reply.headers)
        elif streamed:
            return await stream(call, reply, self._rendered(reply, seen.body), seen)
        elif reply.cut_after is not None:
            return await half(call, reply, self._rendered(reply, seen.body))
        else:
            response = call.json(self._rendered(reply, seen.body).message, over=reply.headers)
        seen.finished = True
        return response

    def _body(self, data: bytes) -> Json:
        if self._strict and len(data) > BODY_LIMIT:
            raise TooLarge("Request exceeds the maximum size")
        try:
            return _decode(data)
        except msgspec.ValidationError:
            raise BadRequest("Input should be a valid dictionary") from None
        except UNREADABLE as error:
            raise BadRequest(f"The request body is not valid JSON: {error}") from error

    def _rendered(self, reply: Reply, body: Json) -> Rendered:
        rules = self._models.get(body.get("model", ""))
        shown = (body.get("thinking") or {}).get("display") == "summarized"
        rendered = render(
            reply,
            body,
            token=secrets.token_hex(10),
            input_usage=self._cache.usage(body),
            omit_thinking=self._strict and rules is not None and rules.omits_thinking and not shown,
        )
        issued = (block.get("signature") for block in rendered.message["content"])
        self._signatures.update(signature for signature in issued if signature)
        return rendered

    def _default(self, body: Json) -> Reply:
        self._replies += 1
        return compelled(body) or text(f"Reply {self._replies}.")

    async def _count_tokens(self, call: Call) -> web.Response:
        seen = call.seen()
        data = await call.request.read()
        if self._keeps:
            self.counted.append(seen)
        try:
            seen.body = self._body(data)
            if self._strict:
                check(seen.body, self._models, self._signatures, counting=True)
        except ProxyError as error:
            seen.status, seen.problem = error.status, error.message
            raise
        seen.status, seen.finished = OK, True
        return call.json({"input_tokens": count_tokens(seen.body)})

    async def _list_models(self, call: Call) -> web.Response:
        return call.json(model_list(self._models, call.request.query))

    async def _one_model(self, call: Call) -> web.Response:
        name = call.request.match_info["id"]
        if name not in self._models:
            raise NotFound(f"model: {name}")
        return call.json(model_info(name, self._models[name]))


async def _hello(call: Call) -> web.Response:
    return call.json({"message": "hello"})


async def _unknown(_: Call) -> web.Response:
    raise NotFound("Not Found")
