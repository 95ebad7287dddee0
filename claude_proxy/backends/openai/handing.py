"""A Chat Completions request on its way to an upstream as it came, and what its whole answer must be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from claude_proxy.backends.base import Original, Used
from claude_proxy.backends.http.splice import with_model
from claude_proxy.backends.openai.ending import used
from claude_proxy.backends.openai.failures import find_error, from_object
from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.errors import UpstreamError

_HANDED_ON = frozenset(("accept", "http-referer", "idempotency-key", "x-title"))
_TOLD = "x-ratelimit-"


def body(original: Original) -> bytes:
    """Give the body as it came, but for the model's name."""
    return with_model(original.body, original.model)


def url(base_url: str, original: Original) -> str:
    """Give where it goes: ``base-url`` stands for the client's ``/v1``."""
    query = f"?{original.query}" if original.query else ""
    return base_url + original.path.removeprefix("/v1") + query


def request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the client's headers that an upstream knows something to do with; never a credential."""
    return {name: value for name, value in headers.items() if name in _HANDED_ON or name.startswith("openai-beta")}


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the answer's headers that the client may want: how much is left of its limits."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith(_TOLD)}


def check(data: bytes) -> Used:
    """Raise where a whole answer is an error, or no JSON at all; give what it says of its model and tokens."""
    try:
        document: Any = msgspec.json.decode(data)
    except UNREADABLE as error:
        raise UpstreamError("the upstream's answer isn't JSON") from error
    found = find_error(document)
    if found is not None:
        raise from_object(found)
    return used(document)
