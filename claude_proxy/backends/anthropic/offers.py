"""What the keys offer: the config's lists and the upstreams' own, asked for again every few minutes.

A list that is old is used while a new one is on its way, and kept where the upstream can't say.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from claude_proxy.backends.anthropic import headers
from claude_proxy.backends.anthropic.knowledge import Knowledge
from claude_proxy.backends.anthropic.listing import Listed, merged, offered, parse
from claude_proxy.backends.base import Model
from claude_proxy.backends.http.attempts import Outgoing, Upstreams, no_begin, opened, read_all
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.errors import ProxyError, Unavailable, UpstreamTimeout

_log = logging.getLogger("claude_proxy.anthropic")

_KEPT_SECONDS = 300.0
_AGAIN_SECONDS = 30.0
_WAIT_SECONDS = 20.0
_PAGE = 1000
_MOST_PAGES = 50


@dataclass(slots=True)
class _List:
    """One key's list. ``due`` is when to ask again."""

    models: tuple[Listed, ...] = ()
    error: ProxyError | None = None
    due: float = 0.0


@dataclass(slots=True)
class Offers:
    """The lists of all keys. What they say of the models goes to ``knowledge``, too."""

    upstreams: Upstreams
    knowledge: Knowledge
    kept_seconds: float = _KEPT_SECONDS
    again_seconds: float = _AGAIN_SECONDS
    _lists: dict[str, _List] = field(default_factory=dict)
    _asking: asyncio.Task[None] | None = None

    async def models(self) -> Sequence[Model]:
        """List what can be asked for; raise ``ProxyError`` where no upstream says."""
        credentials = self.upstreams.keys.credentials
        if not credentials:
            raise Unavailable("no `claude-api-key` entry can be used")
        await self.refreshed()
        found = merged(
            model
            for credential in credentials
            for model in offered(credential, self._lists.get(credential.label, _List()).models)
        )
        errors = [known.error for known in self._lists.values() if known.error is not None]
        if not found and errors:
            raise errors[0]
        return found

    @property
    def problems(self) -> list[str]:
        """Which upstreams don't say what they have, and have never said it: a line each."""
        return [
            f"{label}: {known.error.message}"
            for label, known in self._lists.items()
            if known.error is not None and not known.models
        ]

    async def refreshed(self) -> None:
        """See to it that each upstream was asked; wait only for one that has never been."""
        now = time.monotonic()
        credentials = self.upstreams.keys.credentials
        due = [one for one in credentials if self._lists.setdefault(one.label, _List()).due <= now]
        if due and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_all(due))
        # Where the config names the models, the upstream's list only adds what they can do.
        if self._asking and any(not self._lists[one.label].due and not one.models for one in credentials):
            await asyncio.shield(self._asking)

    async def close(self) -> None:
        """End what is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask_all(self, due: list[Credential]) -> None:
        await asyncio.gather(*(self._ask(credential) for credential in due))

    async def _ask(self, credential: Credential) -> None:
        known = self._lists[credential.label]
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                known.models = await self._pages(credential)
            known.error = None
            self.knowledge.note([one for one in known.models if credential.serves(one.model.id)])
        except TimeoutError:
            known.error = UpstreamTimeout(f"{credential.owner} doesn't say which models it has")
        except ProxyError as error:
            known.error = error
        if known.error is not None and not credential.models:
            _log.warning("%s doesn't list its models: %s", credential.label, known.error.message)
        known.due = time.monotonic() + (self.again_seconds if known.error else self.kept_seconds)

    async def _pages(self, credential: Credential) -> tuple[Listed, ...]:
        # Asked with this very key, and never on behalf of another.
        asked = replace(credential, models=(), excluded_models=(), prefix="")
        alone = Upstreams(Keys([asked]), replace(self.upstreams.patience, retries=1), self.upstreams.sessions)
        found: list[Listed] = []
        after: str | None = ""
        for _ in range(_MOST_PAGES):
            begin = f"&after_id={quote(after, safe='')}" if after else ""
            url = f"{credential.base_url}/v1/models?limit={_PAGE}{begin}"
            head = {"anthropic-version": headers.VERSION, **credential.headers}

            def request(_: Credential, url: str = url, head: dict[str, str] = head) -> Outgoing:
                return Outgoing(url, head, method="GET")

            async with opened(alone, "", "", request, stream=True, begin=no_begin) as answer:
                page = parse(await read_all(answer.response))
            found += page.models
            after = page.next
            if after is None:
                break
        return tuple(found)
