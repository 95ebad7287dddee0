"""A Messages request on its way to an upstream as it came, and what its whole answer must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from claude_proxy.backends.anthropic import headers
from claude_proxy.backends.base import UNTOLD, Original, Used
from claude_proxy.backends.http.attempts import Outgoing
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.splice import with_model
from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.canon.codec import decode_usage, error_from_json
from claude_proxy.errors import NotFound, UpstreamError

_PATHS = frozenset(("/v1/messages", "/v1/messages/count_tokens"))


@dataclass(frozen=True, slots=True)
class Handed:
    """A client's request, ready for whichever key gets it."""

    original: Original
    body: bytes
    headers: dict[str, str]

    def request(self, credential: Credential) -> Outgoing:
        """Give the request as one upstream gets it."""
        query = f"?{self.original.query}" if self.original.query else ""
        url = f"{credential.base_url}{self.original.path}{query}"
        return Outgoing(url, {**self.headers, **credential.headers}, self.body)


def handed(original: Original, usual: dict[str, str]) -> Handed:
    """Take a client's request; raise ``NotFound`` for a path that isn't handed on."""
    if original.path not in _PATHS:
        raise NotFound(f"{original.path} isn't handed on to an upstream")
    sent = {**usual, **headers.to_upstream(original.headers)}
    return Handed(original, with_model(original.body, original.model), sent)


def check(body: bytes) -> Used:
    """Raise where a whole answer is an error, or no JSON object at all; give what it says of its model and tokens."""
    try:
        document: Any = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        error = msgspec.json.decode(document["error"], type=dict[str, Any]) if "error" in document else None
    except UNREADABLE as failure:
        raise UpstreamError("the upstream's answer isn't a JSON object") from failure
    if error is not None:
        raise error_from_json(error)
    try:
        model = msgspec.json.decode(document.get("model", b'""'), type=str)
        usage = msgspec.json.decode(document.get("usage", b"null"), type=dict[str, Any] | None)
    except UNREADABLE:
        return UNTOLD  # the client gets it all the same
    return Used(model, decode_usage(usage))
