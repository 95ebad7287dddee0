"""What the CLI says of a conversation's size, and what of it is no count."""

from __future__ import annotations

from typing import Any

import pytest

from claude_proxy.backends.claude_cli.counting import Parts, parse, refusal
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.errors import BadRequest, NotSignedIn, ProxyError, RateLimited, UnknownModel, UpstreamError

ANSWER: dict[str, Any] = {
    "categories": [
        {"id": "system_prompt", "name": "System prompt", "tokens": 5},
        {"id": "mcp_tools", "name": "MCP tools", "tokens": 1002},
        {"id": "messages", "name": "Messages", "tokens": 16},
        {"id": "free_space", "name": "Free space", "tokens": 995_977},
    ],
    "mcpTools": [{"name": "get_weather", "tokens": 1002}],
}


def log(line: str) -> str:
    """Give what the CLI writes beside other lines."""
    return f"2026-11-21T10:16:34Z [ERROR] Failed to save config\n2026-11-21T10:16:34Z [ERROR] {line}\n"


def api(status: int, kind: str, message: str) -> str:
    """Give the line for an answer of the API's."""
    body = f'{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}'
    return log(f"countTokens API call failed: {status} {body}")


def test_each_part_is_read() -> None:
    """Free space and the like are no part of a request."""
    assert parse(ANSWER) == Parts(system=5, tools=1002, messages=16, names=frozenset({"get_weather"}))


def test_older_versions_have_names_only() -> None:
    """Without ids the categories are found all the same."""
    bare = [{"name": entry["name"], "tokens": entry["tokens"]} for entry in ANSWER["categories"]]
    assert parse({**ANSWER, "categories": bare}) == parse(ANSWER)


def test_a_part_that_isnt_there_is_nothing() -> None:
    """The CLI leaves out what comes to no token."""
    assert parse({"categories": [{"id": "messages", "tokens": 3}, None], "mcpTools": []}) == Parts(0, 0, 3, frozenset())


@pytest.mark.parametrize("answer", [{}, {"categories": []}, {"categories": {}, "mcpTools": []}])
def test_another_shape_is_an_error(answer: dict[str, Any]) -> None:
    """Nothing is made up in the place of what isn't understood."""
    with pytest.raises(UpstreamError):
        parse(answer)


def test_nothing_in_the_log_is_a_count() -> None:
    """What else the CLI logs is no failure of the counting."""
    assert refusal(log("Failed to save config"), None) is None


@pytest.mark.parametrize(
    ("status", "kind", "cls"),
    [
        (400, "invalid_request_error", BadRequest),
        (401, "authentication_error", NotSignedIn),
        (404, "not_found_error", UnknownModel),
        (429, "rate_limit_error", RateLimited),
        (500, "api_error", UpstreamError),
    ],
)
def test_the_upstreams_refusal_keeps_its_status(status: int, kind: str, cls: type[ProxyError]) -> None:
    """The log is the only place where it is told."""
    error = refusal(api(status, kind, "because"), None)
    assert type(error) is cls
    assert status == 404 or "because" in str(error)


def test_a_limit_tells_when_it_ends() -> None:
    """As for a turn."""
    limits = Limits(status="rejected", resets_at=1795500000.0)
    error = refusal(api(429, "rate_limit_error", "used up"), limits)
    assert error is not None
    assert error.reset_at == 1795500000.0


def test_a_failure_without_an_answer_is_told_in_the_clis_words() -> None:
    """A connection that failed, say."""
    error = refusal(log("countTokens API call failed: Connection error."), None)
    assert isinstance(error, UpstreamError)
    assert error.message == "Connection error."


def test_an_answer_that_is_no_json_is_told_as_it_is() -> None:
    """A gateway's page, say."""
    error = refusal(log("countTokens API call failed: 502 <html>bad gateway</html>"), None)
    assert error is not None
    assert "bad gateway" in error.message


def test_nobody_signed_in_says_what_to_do() -> None:
    """With the profile's own command."""
    line = "countTokens API call failed: Could not resolve authentication method. Expected one of apiKey"
    error = refusal(log(line), None, advice="run `claude-proxy login --profile work`")
    assert isinstance(error, NotSignedIn)
    assert "--profile work" in error.message
