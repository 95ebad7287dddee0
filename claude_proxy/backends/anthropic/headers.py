"""Which headers go to the upstream, and which of its own go back. Pure."""

from __future__ import annotations

from collections.abc import Mapping

VERSION = "2023-06-01"

_TOLD = "anthropic-ratelimit-"


def to_upstream(client: Mapping[str, str]) -> dict[str, str]:
    """Give the client's headers that the API knows something to do with, a beta nobody heard of included.

    Never a credential, a cookie, or what belongs to one connection. Names are in lower case.
    """
    handed = {name: value for name, value in client.items() if name.startswith("anthropic-")}
    return {"anthropic-version": VERSION, **handed}


def to_client(upstream: Mapping[str, str]) -> dict[str, str]:
    """Give what the client may want of the answer's headers: how much is left of the limits, and the request's id."""
    lower = {name.lower(): value for name, value in upstream.items()}
    told = {name: value for name, value in lower.items() if name.startswith(_TOLD)}
    if "request-id" in lower:
        told["x-upstream-request-id"] = lower["request-id"]
    return told
