"""What follows from a report on a version of the CLI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_proxy.backends.claude_cli import features
from claude_proxy.backends.claude_cli.features import (
    NAMES,
    VITAL,
    Check,
    Report,
    from_json,
    one_line,
    restricted,
    to_json,
)
from claude_proxy.canon.request import Reasoning, Request, Tool, ToolChoice
from claude_proxy.errors import Unavailable


def report(*failed: Check) -> Report:
    """Give a report in which everything else passed."""
    names = {check.name for check in failed}
    return Report("2.1.400", (*failed, *(Check(name, passed=True) for name in NAMES if name not in names)))


def failed(name: str, detail: str = "seen", *, shown: bool = True) -> Check:
    """Give a check that failed."""
    return Check(name, passed=False, detail=detail, shown=shown)


def test_a_version_that_passes_is_used_in_full() -> None:
    """Nothing is refused, nothing switched off, and that holds."""
    passed = report()
    assert (passed.refused, passed.off, passed.lasting) == (None, frozenset(), True)


@pytest.mark.parametrize("name", VITAL)
def test_a_vital_failure_is_refused_with_what_was_seen_and_what_to_install(name: str) -> None:
    """The sentence names the version, the check, what it saw and the version that works."""
    refused = report(failed(name, "a secret arrived")).refused
    assert refused is not None
    for part in ("2.1.400 can't be used", VITAL[name], f"({name}: a secret arrived)", "claude install 2.1.329"):
        assert part in refused


def test_only_what_was_seen_is_held_against_a_version() -> None:
    """Of several failures the ones that couldn't be carried out aren't called its fault."""
    refused = report(failed("at-path"), failed("slash"), failed("history", "late", shown=False)).refused
    assert refused is not None
    assert "alone (at-path: seen) and doesn't leave commands in a text alone (slash: seen): install" in refused
    assert "history" not in refused


def test_a_version_that_couldnt_be_checked_may_be_tried_again() -> None:
    """It is refused, and nobody says that it does wrong."""
    refused = report(failed("history", "not shown within 30 s", shown=False)).refused
    assert refused is not None
    assert "2.1.400 couldn't be checked (history: not shown within 30 s): try again" in refused


def test_other_failures_switch_their_features_off() -> None:
    """The version is used without them."""
    found = report(failed("effort"), failed("tools"))
    assert found.refused is None
    assert found.off == {"effort", "tools"}


def test_a_vital_failure_is_no_feature() -> None:
    """There is nothing to switch off in a version that isn't used."""
    assert report(failed("slash")).off == frozenset()


def test_a_check_that_isnt_there_has_failed() -> None:
    """An empty report trusts nothing."""
    empty = Report("2.1.400", ())
    assert empty.refused is not None
    assert empty.off == set(features.OPTIONAL)
    assert not empty.lasting


@pytest.mark.parametrize(
    ("check", "lasting"),
    [(failed("effort"), True), (failed("effort", shown=False), False), (failed("history"), False)],
)
def test_an_outcome_is_for_good_only_where_asking_again_is_pointless(check: Check, lasting: bool) -> None:  # noqa: FBT001  # a table's column
    """What wasn't shown may pass the next time, and a refusal is worth a second look."""
    assert report(check).lasting is lasting


def test_a_report_is_the_same_after_being_kept() -> None:
    """Written and read, it says what it said."""
    kept = report(failed("effort", "ünd so"), failed("tools", shown=False))
    assert from_json(to_json(kept)) == kept


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(schema=2),
        lambda document: document.update(claude_proxy="0.0.1"),
        lambda document: document.pop("report"),
        lambda document: document["report"].update(version=7),
        lambda document: document["report"]["checks"].pop(),
        lambda document: document["report"]["checks"][0].update(name="other"),
        lambda document: document["report"]["checks"][0].update(passed="yes"),
    ],
)
def test_a_document_of_another_kind_isnt_read(change: Any) -> None:
    """Another schema, another version of ours, a missing check, a wrong type: nothing is known then."""
    document = json.loads(to_json(report()))
    change(document)
    assert from_json(json.dumps(document).encode()) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 1, "claude_proxy": "\xff"}'])
def test_garbage_isnt_read(data: bytes) -> None:
    """A file cut short or overwritten is no report."""
    assert from_json(data) is None


def test_a_long_text_is_cut_to_one_line() -> None:
    """Line ends go, and what is cut is marked."""
    assert one_line("a\n  b\tc", 10) == "a b c"
    assert one_line("abcdef", 3) == "abc …"


EVERYTHING = Request(
    model="m",
    messages=(),
    tools=(Tool(name="t"),),
    tool_choice=ToolChoice(type="any"),
    max_tokens=5,
    temperature=0.5,
    stop_sequences=("x",),
    reasoning=Reasoning(mode="on", effort="low", visible=True),
    output_schema={"type": "object"},
)


def test_a_version_without_faults_takes_the_request_as_it_is() -> None:
    """Nothing is lost."""
    assert restricted(EVERYTHING, frozenset(), "2.1.329") == (EVERYTHING, ())


@pytest.mark.parametrize("name", ["tools", "json-schema"])
def test_what_would_change_the_answer_is_refused(name: str) -> None:
    """By the check's name; a request that doesn't use it is answered."""
    with pytest.raises(Unavailable, match=f"2.1.9.*{name}"):
        restricted(EVERYTHING, frozenset({name}), "2.1.9")
    plain = Request(model="m", messages=())
    assert restricted(plain, frozenset({name}), "2.1.9") == (plain, ())


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("thinking", ("reasoning",)),
        ("effort", ("reasoning",)),
        ("parameters", ("max_tokens", "temperature", "stop_sequences", "tool_choice")),
        ("held-results", ()),
    ],
)
def test_what_can_be_left_out_is_left_out_and_named(name: str, lost: tuple[str, ...]) -> None:
    """Only what was asked for is a loss."""
    request, losses = restricted(EVERYTHING, frozenset({name}), "2.1.9")
    assert losses == lost
    assert restricted(request, frozenset({name}), "2.1.9") == (request, ())
