"""The models endpoints' JSON, the plan's headers and what was seen."""

from __future__ import annotations

import pytest

from claude_proxy.errors import BadRequest
from claude_proxy.simulator import MODELS, Seen
from claude_proxy.simulator.catalog import model_info, model_list, rate_limits


def test_model_says_what_it_can() -> None:
    """A model's entry tells limits, thinking and effort."""
    info = model_info("claude-sonnet-5-5", MODELS["claude-sonnet-5-5"])
    assert (info["id"], info["max_tokens"]) == ("claude-sonnet-5-5", 128_000)
    assert info["capabilities"]["thinking"]["types"]["disabled"] == {"supported": False}
    assert info["capabilities"]["effort"]["xhigh"] == {"supported": True}


def test_pages_of_models() -> None:
    """Pages follow each other by the last id, and the last says that it is."""
    first = model_list(MODELS, {"limit": "5"})
    second = model_list(MODELS, {"limit": "5", "after_id": first["last_id"]})
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [model["id"] for page in (first, second) for model in page["data"]] == list(MODELS)


def test_no_models() -> None:
    """An empty list has no ids."""
    assert model_list({}, {})["first_id"] is None


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_bad_limit(limit: str) -> None:
    """A limit that is none is refused."""
    with pytest.raises(BadRequest, match=r"^limit: "):
        model_list(MODELS, {"limit": limit})


@pytest.mark.parametrize("now", [1_790_000_000, 1_789_999_200, 1_790_208_000, 1_790_207_999])
def test_rate_limits_name_both_windows(now: int) -> None:
    """The plan's headers tell both windows, about half over whenever they are asked for."""
    headers = rate_limits(now)
    left = [int(headers[f"anthropic-ratelimit-unified-{window}-reset"]) - now for window in ("5h", "7d")]
    assert headers["anthropic-ratelimit-unified-status"] == "allowed"
    assert 2 * 3600 < left[0] <= 3 * 3600
    assert 3 * 86_400 < left[1] <= 4 * 86_400
    assert "retry-after" not in headers


def test_rejected_says_when_to_come_back() -> None:
    """A plan that is used up says so, and how long to wait."""
    headers = rate_limits(1_790_000_000, rejected=True)
    assert headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert 1_790_000_000 + int(headers["retry-after"]) == int(headers["anthropic-ratelimit-unified-5h-reset"])


def test_conversation_is_roles_and_blocks() -> None:
    """The conversation has no system messages and no cache marks, and every content is blocks (K01)."""
    mark = {"type": "ephemeral"}
    body = {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"content": "x"}}]},
            {"role": "system", "content": "# Environment"},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "ok", "cache_control": mark},
                    {"type": "tool_result", "tool_use_id": "u", "content": [{"type": "text", "text": "ok"}]},
                    {"type": "tool_result", "tool_use_id": "v", "content": ""},
                ],
            },
        ]
    }
    ok = [{"type": "text", "text": "ok"}]
    assert Seen(body=body, headers={}, path="/", at=0).conversation == [
        ("user", [{"type": "text", "text": "hi"}]),
        ("assistant", [{"type": "tool_use", "id": "t", "name": "n", "input": {"content": "x"}}]),
        (
            "user",
            [
                {"type": "tool_result", "tool_use_id": "t", "content": ok},
                {"type": "tool_result", "tool_use_id": "u", "content": ok},
                {"type": "tool_result", "tool_use_id": "v", "content": []},
            ],
        ),
    ]
