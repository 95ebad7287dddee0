"""What every backend must do, whatever is behind it: each is run against the same simulated Messages API."""

from __future__ import annotations

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from real_cli import Outcome, assistant, results_for, until, user

from claude_proxy.backends.base import Backend, Call
from claude_proxy.canon.blocks import Document, Image, Json, Source, Text, Thinking, ToolUse
from claude_proxy.canon.events import AnyEvent, MessageStop, TextDelta, ThinkingDelta
from claude_proxy.canon.request import Reasoning, Request, Tool
from claude_proxy.errors import (
    BadRequest,
    NotFound,
    Overloaded,
    ProxyError,
    RateLimited,
    Unauthorized,
    UpstreamError,
    UpstreamTimeout,
)
from claude_proxy.simulator import Reply, Simulator, error, text, thinking, tool_calls

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(50)).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool(name="get_weather", description="The weather of a city.", input_schema=CITY)
MANY = 12
"""More often than any backend tries."""


def echo(body: Json) -> Reply:
    """Answer with the user's last words."""
    content = [message["content"] for message in body["messages"] if message["role"] == "user"][-1]
    words = content if isinstance(content, str) else content[-1]["text"]
    return text(f"You said {words}.")


@dataclass
class Rig:
    """A backend, and the simulator at its far end; ``model`` is what to ask for."""

    backend: Backend
    simulator: Simulator
    model: str

    def call(self, *messages: Any, **fields: Any) -> Call:
        """Give a call; without messages it says hi."""
        return Call(
            Request(**{"model": self.model, "messages": messages or (user("hi"),), "max_tokens": 500, **fields})
        )

    async def ask(self, *messages: Any, **fields: Any) -> Outcome:
        """Run a turn to its end."""
        async with self.backend.turn(self.call(*messages, **fields)) as turn:
            outcome = Outcome(turn, [])
            async for event in turn.events:
                outcome.events.append(event)
        return outcome

    async def follow(self, events: list[AnyEvent]) -> None:
        """Run a turn, noting its events as they come."""
        async with self.backend.turn(self.call()) as turn:
            async for event in turn.events:
                events.append(event)  # noqa: PERF401 - what was read counts when it fails

    async def fail(self, events: list[AnyEvent]) -> ProxyError:
        """Run a turn that must fail, noting its events; give the failure."""
        with pytest.raises(ProxyError) as caught:
            await self.follow(events)
        assert not [event for event in events if isinstance(event, MessageStop)]
        return caught.value

    @property
    def sent(self) -> list[tuple[str, list[Json]]]:
        """The conversation as it arrived last."""
        return self.simulator.seen[-1].conversation


@pytest.mark.asyncio(loop_scope="class")
class Contract(ABC):
    """The tests. ``running`` gives a rig; a ``hasty`` one gives up after a few seconds."""

    counts_tokens: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def running(cls, folder: Path, *, hasty: bool = False) -> AbstractAsyncContextManager[Rig]:
        """Run a backend whose upstream is a simulator that says what it is told to, else :func:`echo`."""

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    @classmethod
    async def shared(cls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
        """Run one backend for all tests that can share it."""
        async with cls.running(tmp_path_factory.mktemp("contract")) as rig:
            yield rig

    @pytest.fixture
    def rig(self, shared: Rig) -> Rig:
        """Give it with nothing left over from the test before."""
        shared.simulator.queue.clear()
        shared.simulator.seen.clear()
        return shared

    # -- replies ------------------------------------------------------------------------------------------------------

    async def test_text_comes_in_its_pieces_in_order(self, rig: Rig) -> None:
        """C36: emoji, line ends and NUL included."""
        pieces = ("Hé", "llo 👩‍👩‍👧", "\r\n", "a\x00b", '"\\')
        rig.simulator.queue.append(text(*pieces))
        outcome = await rig.ask()
        assert [event.text for event in outcome.events if isinstance(event, TextDelta)] == list(pieces)
        assert outcome.reply.stop_reason == "end_turn"
        assert outcome.reply.model == "claude-sonnet-5-5"

    async def test_thinking_is_shown_where_it_was_asked_for(self, rig: Rig) -> None:
        """C18: before the text."""
        rig.simulator.queue.append(thinking("Hm, well.", "Hello."))
        outcome = await rig.ask(reasoning=Reasoning(mode="on", effort="low", visible=True))
        thought, said = outcome.reply.content
        assert isinstance(thought, Thinking)
        assert thought.thinking == "Hm, well."
        assert said == Text(text="Hello.")

    async def test_thinking_is_not_shown_where_nobody_asked(self, rig: Rig) -> None:
        """C18: the text is all there is to read."""
        rig.simulator.queue.append(thinking("Hm, well.", "Hello."))
        outcome = await rig.ask()
        assert outcome.text == "Hello."
        assert not [event for event in outcome.events if isinstance(event, ThinkingDelta) and event.thinking]

    async def test_usage_is_the_upstreams_own(self, rig: Rig) -> None:
        """C33: to the token."""
        counts = {
            "input_tokens": 11,
            "output_tokens": 7,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 0,
        }
        rig.simulator.queue.append(text("Hello.", usage=counts))
        usage = (await rig.ask()).reply.usage
        assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (11, 7, 3)

    @pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "refusal"])
    async def test_how_a_reply_ends_is_told(self, tmp_path: Path, reason: str) -> None:
        """C30: as the upstream says it. On a backend of its own: behind some ends the CLI goes on by itself."""
        async with self.running(tmp_path) as rig:
            rig.simulator.queue.append(text("Hello.", stop_reason=reason))
            assert (await rig.ask()).reply.stop_reason == reason

    # -- tools --------------------------------------------------------------------------------------------------------

    async def test_a_tool_is_called_and_its_result_arrives(self, rig: Rig) -> None:
        """C21: with its name, its input and its id, through the whole loop."""
        rig.simulator.queue.append(tool_calls(("get_weather", {"city": "Köln"}), text="Let me look."))
        asked = user("How is it?")
        first = await rig.ask(asked, tools=(WEATHER,))
        said, use = first.reply.content
        assert said == Text(text="Let me look.")
        assert isinstance(use, ToolUse)
        assert (use.name, use.input, first.reply.stop_reason) == ("get_weather", {"city": "Köln"}, "tool_use")
        rig.simulator.queue.append(text("It is sunny."))
        second = await rig.ask(asked, first.said, results_for(first.reply, "sunny"), tools=(WEATHER,))
        assert second.text == "It is sunny."
        (_, called), (_, answered) = rig.sent[-2:]
        assert called[-1]["name"] == "get_weather"
        assert answered[0]["tool_use_id"] == called[-1]["id"]
        assert answered[0]["content"] == [{"type": "text", "text": "sunny"}]

    async def test_tools_are_called_side_by_side(self, rig: Rig) -> None:
        """C22: each result goes to its call."""
        rig.simulator.queue.append(tool_calls(("get_weather", {"city": "Rome"}), ("get_weather", {"city": "Oslo"})))
        asked = user("Where is it warmer?")
        first = await rig.ask(asked, tools=(WEATHER,))
        assert [use.input for use in first.reply.content if isinstance(use, ToolUse)] == [
            {"city": "Rome"},
            {"city": "Oslo"},
        ]
        rig.simulator.queue.append(text("In Rome."))
        await rig.ask(asked, first.said, results_for(first.reply, "20", "2"), tools=(WEATHER,))
        (_, called), (_, answered) = rig.sent[-2:]
        given = {result["tool_use_id"]: result["content"][0]["text"] for result in answered}
        assert [given[use["id"]] for use in called] == ["20", "2"]

    # -- what goes in -------------------------------------------------------------------------------------------------

    async def test_history_and_system_arrive(self, rig: Rig) -> None:
        """C01: who said what stays what it was."""
        await rig.ask(user("one"), assistant("two"), user("three"), system=(Text(text="Be brief."),))
        assert rig.sent == [
            ("user", [{"type": "text", "text": "one"}]),
            ("assistant", [{"type": "text", "text": "two"}]),
            ("user", [{"type": "text", "text": "three"}]),
        ]
        assert "Be brief." in str(rig.simulator.seen[-1].body["system"])

    async def test_an_image_arrives(self, rig: Rig) -> None:
        """C06: byte for byte."""
        picture = Image(source=Source(type="base64", media_type="image/png", data=PNG))
        await rig.ask(user(picture, "What is it?"))
        ((_, blocks),) = rig.sent
        source = next(block["source"] for block in blocks if block["type"] == "image")
        assert source == {"type": "base64", "media_type": "image/png", "data": PNG}

    async def test_a_document_arrives(self, rig: Rig) -> None:
        """C07: byte for byte."""
        paper = Document(source=Source(type="base64", media_type="application/pdf", data=PDF), title="a.pdf")
        await rig.ask(user(paper, "What is it?"))
        ((_, blocks),) = rig.sent
        source = next(block["source"] for block in blocks if block["type"] == "document")
        assert source == {"type": "base64", "media_type": "application/pdf", "data": PDF}

    async def test_a_reply_can_have_a_schema(self, rig: Rig) -> None:
        """C14: the upstream gets it, and what it gives is text."""
        rig.simulator.queue.append(text('{"city":"Rome"}'))
        outcome = await rig.ask(output_schema=CITY)
        assert outcome.text == '{"city":"Rome"}'
        assert rig.simulator.seen[-1].body["output_config"]["format"] == {"type": "json_schema", "schema": CITY}

    # -- failures -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("status", "kind", "expected", "told"),
        [
            (400, "invalid_request_error", BadRequest, 400),
            (401, "authentication_error", Unauthorized, 401),
            (404, "not_found_error", NotFound, 404),
            (429, "rate_limit_error", RateLimited, 429),
            (500, "api_error", UpstreamError, 502),
            (529, "overloaded_error", Overloaded, 529),
        ],
    )
    async def test_a_refusal_has_its_status(
        self, rig: Rig, status: int, kind: str, expected: type[ProxyError], told: int
    ) -> None:
        """K10: and where there is a limit, the time to wait."""
        rig.simulator.queue.extend([error(status, kind, "so it is")] * MANY)
        failure = await rig.fail([])
        assert isinstance(failure, expected)
        assert failure.status == told
        assert (failure.retry_after is not None and failure.retry_after > 0) == (status == 429)

    async def test_an_upstream_that_says_nothing_is_a_timeout(self, tmp_path: Path) -> None:
        """K09: 504 within the deadline, and the upstream isn't kept waiting."""
        async with self.running(tmp_path, hasty=True) as rig:
            rig.simulator.queue.extend([Reply(silent=True)] * MANY)
            assert isinstance(await rig.fail([]), UpstreamTimeout)
            await until(lambda: not rig.simulator.active)

    async def test_garbage_is_a_bad_gateway(self, rig: Rig) -> None:
        """C35: never a reply."""
        rig.simulator.queue.extend([Reply(raw=b"<html>no</html>")] * MANY)
        assert (await rig.fail([])).status == 502

    async def test_a_connection_that_breaks_at_once_is_a_bad_gateway(self, rig: Rig) -> None:
        """K07: after as many tries as agreed."""
        rig.simulator.queue.extend([Reply(cut_after=0)] * MANY)
        assert (await rig.fail([])).status == 502

    async def test_a_reply_that_breaks_off_is_a_failure_and_never_a_second_reply(self, rig: Rig) -> None:
        """K07: behind what came of it, and the next turn is as good as any."""
        rig.simulator.queue.append(text("one ", "two ", "three", cut_after=5, gap_seconds=0.05))
        events: list[AnyEvent] = []
        assert (await rig.fail(events)).status == 502
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) in {"one ", "one two "}
        assert len(rig.simulator.seen) == 1
        assert (await rig.ask(user("next"))).text == "You said next."

    async def test_an_error_inside_a_stream_is_that_error(self, rig: Rig) -> None:
        """M04: with its own kind."""
        busy = {"type": "overloaded_error", "message": "busy"}
        rig.simulator.queue.append(text("one ", "two ", error_after=1, error=busy, gap_seconds=0.05))
        failure = await rig.fail([])
        assert isinstance(failure, Overloaded | UpstreamError)
        assert "busy" in failure.message

    # -- turns side by side -------------------------------------------------------------------------------------------

    async def test_leaving_stops_it_upstream(self, rig: Rig) -> None:
        """K08: within a second."""
        rig.simulator.queue.append(text("one ", "two ", gap_seconds=30))
        async with rig.backend.turn(rig.call()) as turn:
            async for event in turn.events:
                if isinstance(event, TextDelta):
                    break
            assert rig.simulator.active == 1
        await until(lambda: not rig.simulator.active, 1)

    async def test_being_cancelled_while_waiting_stops_it_upstream(self, rig: Rig) -> None:
        """K08: also before the first event."""
        rig.simulator.queue.append(Reply(silent=True))
        waiting = asyncio.create_task(rig.ask())
        await until(lambda: rig.simulator.seen)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: not rig.simulator.active, 1)

    async def test_turns_side_by_side_do_not_mix(self, rig: Rig) -> None:
        """K01: each gets what was said to it."""
        words = [f"word-{number}" for number in range(4)]
        outcomes = await asyncio.gather(*(rig.ask(user(word)) for word in words))
        assert [outcome.text for outcome in outcomes] == [f"You said {word}." for word in words]

    # -- the rest -----------------------------------------------------------------------------------------------------

    async def test_tokens_are_counted_or_the_request_refused(self, rig: Rig) -> None:
        """M05: more words are more tokens; nothing is ever made up."""
        short, long = rig.call(user("hi")), rig.call(user("hi, and how do you do today?"))
        if self.counts_tokens:
            assert 0 < await rig.backend.count_tokens(short) < await rig.backend.count_tokens(long)
        else:
            with pytest.raises(BadRequest):
                await rig.backend.count_tokens(short)

    async def test_what_it_offers_can_be_asked_for(self, rig: Rig) -> None:
        """L01: the list has exact names, each once."""
        ids = [model.id for model in await rig.backend.models()]
        assert rig.model in ids
        assert len(set(ids)) == len(ids)

    async def test_it_says_that_it_is_ready(self, rig: Rig) -> None:
        """A person can read why, in one line."""
        health = await rig.backend.health()
        assert health.ready
        assert health.detail
        assert "\n" not in health.detail

    async def test_no_secret_shows(self, rig: Rig) -> None:
        """A log of the backend object gives nothing away."""
        assert "dummy-secret" not in repr(rig.backend)

    async def test_closing_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """Also in the middle of a turn."""
        before = asyncio.all_tasks()
        async with self.running(tmp_path) as rig:
            await rig.ask()
            await rig.backend.models()
        assert not {task for task in asyncio.all_tasks() - before if not task.done()}
