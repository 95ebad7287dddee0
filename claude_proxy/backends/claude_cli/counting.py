"""What the CLI answers when it is asked for the size of a conversation, and what of that is a count. Pure.

The CLI asks the upstream's ``count_tokens`` three times: for the messages, for the system prompt (as if it were a
user's message) and for the tools. Where the upstream refuses, it puts an estimate of its own in the place and only its
log says so. Of the tools' count it takes a constant away, and nothing is left of a few small ones. So a *yardstick* is
always listed beside the client's tools, large enough to be counted: what the client's tools come to is the difference
to the yardstick alone, and where the yardstick itself is what the CLI estimates, nothing was counted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from claude_proxy.backends.claude_cli.failures import SIGN_IN, failure
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Tool
from claude_proxy.errors import ProxyError, UpstreamError

COUNTING = " (counting)"
"""Behind a model's name: a child that also logs what went wrong, as the CLI is silent about it otherwise."""

YARDSTICK = Tool(name="claude_proxy_yardstick", description="a " * 1500)
"""About 1,500 tokens, and half of that by the CLI's estimate of four characters a token."""

_FAILED = re.compile(r"countTokens API call failed: (?:(\d{3}) )?(.*)")


@dataclass(frozen=True, slots=True)
class Parts:
    """The tokens of each part, and the names of the tools that are in it."""

    system: int
    tools: int
    messages: int
    names: frozenset[str]


def parse(answer: Json) -> Parts:
    """Read the answer to ``get_context_usage``; raise ``UpstreamError`` where it has another shape."""
    categories, listed = answer.get("categories"), answer.get("mcpTools")
    if not isinstance(categories, list) or not isinstance(listed, list):
        raise UpstreamError("the claude CLI doesn't say how large the conversation is: another version may")
    # By name where there is no id: older versions have the one, newer ones both.
    tokens = {_key(entry): entry.get("tokens") for entry in categories if isinstance(entry, dict)}
    return Parts(
        system=_count(tokens.get("system_prompt")),
        tools=_count(tokens.get("mcp_tools")),
        messages=_count(tokens.get("messages")),
        names=frozenset(str(entry.get("name")) for entry in listed if isinstance(entry, dict)),
    )


def _key(entry: Json) -> str:
    return str(entry.get("id") or entry.get("name") or "").lower().replace(" ", "_")


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def refusal(log: str, limits: Limits | None, *, advice: str = SIGN_IN) -> ProxyError | None:
    """Give why the upstream didn't count, from what the CLI has logged; ``None`` where it did."""
    found = _FAILED.search(log)
    if found is None:
        return None
    status, text = found[1], found[2].strip()
    return failure(_message(text), int(status) if status else None, None, limits, advice=advice)


def _message(text: str) -> str:
    """Give the upstream's own words, where the text is the API's JSON for an error."""
    try:
        error = json.loads(text)["error"]
        return str(error["message"])
    except (ValueError, KeyError, TypeError):
        return text
