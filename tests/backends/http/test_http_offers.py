"""What keys offer over time: asked for once, renewed behind the scenes, kept where an upstream can't say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from claude_proxy.backends.base import Model
from claude_proxy.backends.http import offers as module
from claude_proxy.backends.http.attempts import Upstreams
from claude_proxy.backends.http.entries import Source
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.backends.http.offers import Offers
from claude_proxy.config.schema import ModelName
from claude_proxy.errors import NotFound, Unavailable, UpstreamTimeout

A, B, C = Model("a", "A"), Model("b", "B"), Model("c", "C")


def source(name: str, *models: str) -> Source:
    """Give an entry with two keys, and the models that the config names."""
    named = tuple(ModelName(name=model) for model in models)
    return Source(name, tuple(Credential(f"{name}#{n}", name, "u", models=named) for n in (1, 2)))


@dataclass
class Lists:
    """What upstreams say, by name: a list, a failure, or nothing until ``gate`` is set."""

    said: dict[str, list[Model] | Exception]
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def ask(self, source: Source, alone: Upstreams) -> tuple[Model, ...]:
        """Say it."""
        self.asked.append(source.name)
        assert [one.label for one in alone.keys.credentials] == [one.label for one in source.credentials]
        if self.gate is not None:
            await self.gate.wait()
        said = self.said[source.name]
        if isinstance(said, Exception):
            raise said
        return tuple(said)


def offering(lists: Lists, *sources: Source, asks_named: bool = False) -> Offers:
    """Give the offers of these entries."""
    keys = Keys([key for one in sources for key in one.credentials])
    return Offers("some-kind", Upstreams(keys), sources, lists.ask, asks_named=asks_named)


def age(offers: Offers) -> None:
    """Make all lists old."""
    for known in offers._known:
        known.due = 0.001
    offers._due = 0.001


async def renewed(offers: Offers) -> None:
    """Wait for what is under way."""
    assert offers._asking is not None
    await offers._asking


async def test_each_upstream_is_asked_once_and_the_same_tuple_given_again() -> None:
    """Nothing is computed for a request."""
    lists = Lists({"one": [A], "two": [A, B]})
    offers = offering(lists, source("one"), source("two"))
    first = await offers.models()
    assert first == (A, B)
    assert await offers.models() is first
    assert offers.current is first
    assert sorted(lists.asked) == ["one", "two"]


async def test_many_who_ask_at_once_ask_once() -> None:
    """All of them wait for the one answer."""
    lists = Lists({"one": [A]}, gate=asyncio.Event())
    offers = offering(lists, source("one"))
    asking = [asyncio.create_task(offers.models()) for _ in range(5)]
    await asyncio.sleep(0)
    assert lists.gate is not None
    lists.gate.set()
    assert await asyncio.gather(*asking) == [(A,)] * 5
    assert lists.asked == ["one"]


async def test_one_who_gives_up_waiting_stops_nobody_else() -> None:
    """K08: the question goes on."""
    lists = Lists({"one": [A]}, gate=asyncio.Event())
    offers = offering(lists, source("one"))
    gone, stays = asyncio.create_task(offers.models()), asyncio.create_task(offers.models())
    await asyncio.sleep(0)
    gone.cancel()
    assert lists.gate is not None
    lists.gate.set()
    assert await stays == (A,)
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_an_old_list_is_given_while_a_new_one_is_fetched() -> None:
    """Nobody waits for it."""
    lists = Lists({"one": [A]})
    offers = offering(lists, source("one"))
    await offers.models()
    lists.said["one"], lists.gate = [B], asyncio.Event()
    age(offers)
    assert [await offers.models() for _ in range(2)] == [(A,), (A,)]
    lists.gate.set()
    await renewed(offers)
    assert await offers.models() == (B,)
    assert lists.asked == ["one", "one"]


async def test_a_list_that_can_not_be_renewed_is_kept() -> None:
    """The upstream has a bad moment; it isn't asked again at once."""
    lists = Lists({"one": [A]})
    offers = offering(lists, source("one"))
    await offers.models()
    lists.said["one"] = NotFound("no list here")
    age(offers)
    await offers.models()
    await renewed(offers)
    assert await offers.models() == (A,)
    assert lists.asked == ["one", "one"]
    assert offers.problems == []


async def test_an_upstream_that_can_not_say_hides_no_other_and_is_not_waited_for_again() -> None:
    """It is named, and asked again a little later."""
    lists = Lists({"one": [A], "two": NotFound("no list here")})
    offers = offering(lists, source("one"), source("two"))
    assert await offers.models() == (A,)
    assert offers.problems == ["two: no list here"]
    lists.said["two"], lists.gate = [B], asyncio.Event()
    for known in offers._known:
        known.due = known.due if known.source.name == "one" else 0.001
    offers._due = 0.001
    assert await offers.models() == (A,)
    lists.gate.set()
    await renewed(offers)
    assert await offers.models() == (A, B)
    assert lists.asked == ["one", "two", "two"]
    assert 15 <= offers.again_seconds <= 30


async def test_alone_its_failure_is_the_answer_until_it_can_say() -> None:
    """L01: not an empty list; and what it says then is waited for."""
    lists = Lists({"one": NotFound("no list here")})
    offers = offering(lists, source("one"))
    for _ in range(2):
        with pytest.raises(NotFound, match="no list here"):
            await offers.models()
    assert lists.asked == ["one"]
    lists.said["one"] = [A]
    age(offers)
    assert await offers.models() == (A,)


async def test_an_upstream_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a deadline for the whole of it."""
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.01)
    offers = offering(Lists({"one": [A]}, gate=asyncio.Event()), source("one"))
    with pytest.raises(UpstreamTimeout, match="one doesn't say"):
        await offers.models()


async def test_what_the_config_names_is_settled() -> None:
    """Nobody is asked, or nobody waits for the answer, which only says more."""
    lists = Lists({"one": [Model("c", "C", max_output_tokens=5)]})
    settled = offering(lists, source("one", "c"))
    assert await settled.models() == (Model("c", "c"),)
    assert lists.asked == []
    curious = offering(lists, source("one", "c"), asks_named=True)
    assert await curious.models() == (Model("c", "c"),)
    await renewed(curious)
    assert await curious.models() == (Model("c", "C", max_output_tokens=5),)


async def test_a_named_upstream_without_a_list_is_no_problem() -> None:
    """The config has said all that is needed."""
    offers = offering(Lists({"one": NotFound("no")}), source("one", "c"), asks_named=True)
    await offers.models()
    await renewed(offers)
    assert offers.problems == []
    assert await offers.models() == (Model("c", "c"),)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: offering(Lists({})), "no `some-kind` entry can be used"),
        (lambda: offering(Lists({"one": []}), source("one")), "no upstream of `some-kind` offers a model"),
    ],
)
async def test_nothing_to_offer_is_said(make: Callable[[], Offers], why: str) -> None:
    """L01: never an empty list."""
    with pytest.raises(Unavailable, match=why):
        await make().models()


async def test_each_key_is_asked_for_what_its_upstream_has() -> None:
    """And another one only where nobody says that it has it."""
    lists = Lists({"one": [A, Model("claude-opus-5", "O")], "two": [C]})
    offers = offering(lists, source("one"), source("two"))
    await offers.models()
    keys = offers.upstreams.keys

    def owners(model: str) -> list[str]:
        return [key.owner for key in keys.serving(model)]

    assert owners("a") == ["one", "one"]
    assert owners("c") == ["two", "two"]
    assert owners("claude-opus-4") == ["one", "one"]
    assert owners("unheard-of") == ["one", "one", "two", "two"]


async def test_closing_ends_what_is_under_way() -> None:
    """No task is left behind; closing what was never asked is nothing."""
    offers = offering(Lists({"one": [A]}, gate=asyncio.Event()), source("one"))
    await offers.close()
    waiting = asyncio.create_task(offers.models())
    await asyncio.sleep(0)
    await offers.close()
    assert offers._asking is not None
    assert offers._asking.done()
    with pytest.raises(asyncio.CancelledError):
        await waiting
