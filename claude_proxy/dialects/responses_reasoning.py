"""Reasoning in the Responses API: how it is asked for, and how it goes to the client and comes back. Pure.

A reasoning item's ``encrypted_content`` is opaque to its client. Here it holds the blocks that the Messages API wants
back unchanged, their signatures included, behind a prefix that tells ours from anybody else's. It hides nothing.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from claude_proxy.canon.blocks import RedactedThinking, Thinking
from claude_proxy.canon.codec import decode_block, encode_block
from claude_proxy.canon.request import Reasoning
from claude_proxy.dialects.chat_reasoning import by_effort
from claude_proxy.dialects.responses_wire import ReasoningOptions
from claude_proxy.errors import BadRequest

_PREFIX = "claude-proxy.1."
_SUMMARIES = ("auto", "concise", "detailed")


def reasoning(given: ReasoningOptions | None) -> Reasoning:
    """Read how much the model shall think; only who asks for a summary wants to read it."""
    if given is None:
        return Reasoning()
    asked = by_effort(given.effort, "reasoning.effort")
    summary = given.summary or given.generate_summary or "none"
    if summary not in (*_SUMMARIES, "none"):
        raise BadRequest(
            f"reasoning.summary: {summary!r} isn't one of {', '.join(_SUMMARIES)}", param="reasoning.summary"
        )
    visible = summary != "none"
    if asked is None and not visible:
        return Reasoning()
    if asked is not None and asked.mode == "off":
        return asked
    return Reasoning(mode="on", effort=asked.effort if asked else None, visible=visible)


def seal(block: Thinking | RedactedThinking) -> str | None:
    """Give the ``encrypted_content`` for a block; ``None`` for thinking that nobody signed, which can't go back."""
    if isinstance(block, Thinking) and not block.signature:
        return None
    return _PREFIX + base64.b64encode(msgspec.json.encode(encode_block(block))).decode()


def unseal(sealed: str) -> Thinking | RedactedThinking | None:
    """Give the block that is in an ``encrypted_content``; ``None`` where it isn't one of ours."""
    if not sealed.startswith(_PREFIX):
        return None
    try:
        raw = msgspec.json.decode(base64.b64decode(sealed.removeprefix(_PREFIX), validate=True))
        block = decode_block(raw)
    except (binascii.Error, ValueError, AttributeError, RecursionError):
        return None
    return block if isinstance(block, Thinking | RedactedThinking) else None
