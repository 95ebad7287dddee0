"""Token counts and the prompt cache of the simulator."""

from __future__ import annotations

from typing import Any

from claude_proxy.simulator import tokens
from claude_proxy.simulator.tokens import PromptCache, count_tokens

MARK = {"type": "ephemeral"}


def body(*said: str, mark: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A request with one user block for each text, the last one marked."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": word} for word in said]
    if mark:
        blocks[-1]["cache_control"] = mark
    return {"model": "m", "messages": [{"role": "user", "content": blocks}], **fields}


def counts(usage: dict[str, Any]) -> tuple[int, int, int]:
    """Fresh, written and read tokens."""
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return usage[names[0]], usage[names[1]], usage[names[2]]


def test_counts_words_and_marks() -> None:
    """Each word and each mark is a token, in system, messages and tools."""
    tool = {"name": "get", "description": "Gets it.", "input_schema": {"type": "object", "minimum": 1}}
    assert count_tokens(body("Hello, you!", system="Be brief", tools=[tool])) == 4 + 2 + 5


def test_counts_string_and_blocks_alike() -> None:
    """A string counts as much as the block of the same text."""
    assert count_tokens({"messages": [{"role": "user", "content": "a b"}]}) == count_tokens(body("a b"))


def test_image_counts_the_same_whatever_its_size() -> None:
    """An image counts a fixed number of tokens, not its base64 text."""
    image = {"type": "image", "source": {"type": "base64", "data": "A" * 9999}}
    assert count_tokens({"messages": [{"role": "user", "content": [image]}]}) == tokens.IMAGE_TOKENS


def test_no_mark_no_cache() -> None:
    """Without a mark nothing is cached."""
    cache = PromptCache()
    cache.usage(body("a b"))
    assert counts(cache.usage(body("a b"))) == (2, 0, 0)


def test_marked_prefix_is_written_then_read() -> None:
    """What one request marked, the next one that begins with it reads; the rest is written or fresh."""
    cache = PromptCache()
    assert counts(cache.usage(body("a b", mark=MARK))) == (0, 2, 0)
    assert counts(cache.usage(body("a b", "c", mark=MARK))) == (0, 1, 2)


def test_other_prefix_is_no_hit() -> None:
    """Another model, or another beginning, reads nothing."""
    cache = PromptCache()
    cache.usage(body("a b", mark=MARK))
    assert counts(cache.usage(body("a x", mark=MARK))) == (0, 2, 0)
    assert counts(cache.usage(body("a b", mark=MARK, model="other"))) == (0, 2, 0)


def test_written_tokens_by_lifetime() -> None:
    """Written tokens are told apart by how long they are kept; a mark on the request itself is its last block's."""
    usage = PromptCache().usage(
        body(
            "a b",
            system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            cache_control=MARK,
        )
    )
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1}


def test_empty_request() -> None:
    """A request of nothing counts nothing."""
    assert counts(PromptCache().usage({})) == (0, 0, 0)


def test_cache_forgets_the_oldest(monkeypatch: Any) -> None:
    """It holds a bounded number of prefixes."""
    monkeypatch.setattr(tokens, "_KEPT_PREFIXES", 1)
    cache = PromptCache()
    cache.usage(body("a", mark=MARK))
    cache.usage(body("b", mark=MARK))
    assert counts(cache.usage(body("a", mark=MARK))) == (0, 1, 0)
