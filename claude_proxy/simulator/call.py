"""One HTTP request under way, and the ways to answer it in the API's shape."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from claude_proxy.errors import BadRequest, ProxyError, Unauthorized
from claude_proxy.simulator.catalog import rate_limits
from claude_proxy.simulator.script import Json
from claude_proxy.simulator.seen import Seen

OK = 200


@dataclass
class Call:
    """A request with the id that its answer carries."""

    request: web.Request
    id: str = field(default_factory=lambda: f"req_01{secrets.token_hex(11)}")

    def seen(self) -> Seen:
        """Give the record of the request, its body not yet read."""
        request = self.request
        return Seen(body={}, headers=request.headers.copy(), path=request.path_qs, at=time.monotonic())

    def check_access(self, *, strict: bool) -> None:
        """Raise where no key was sent, or no version of the API."""
        headers = self.request.headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not headers.get("x-api-key") and not (scheme.lower() == "bearer" and token.strip()):
            raise Unauthorized("x-api-key header is required")
        if strict and not headers.get("anthropic-version"):
            raise BadRequest("anthropic-version: header is required")

    def headers(self, kind: str, status: int, over: Mapping[str, str]) -> dict[str, str]:
        """Give an answer's headers: its content type, what every answer of the API has, and ``over`` put over them."""
        rejected = status == web.HTTPTooManyRequests.status_code
        usual = {"content-type": kind, "request-id": self.id, **rate_limits(int(time.time()), rejected=rejected)}
        return {**usual, **{name.lower(): value for name, value in over.items()}}

    def json(self, body: Json, *, status: int = OK, over: Mapping[str, str] | None = None) -> web.Response:
        """Answer with JSON."""
        head = self.headers("application/json", status, over or {})
        return web.Response(body=msgspec.json.encode(body), status=status, headers=head)

    def failure(self, error: Json) -> Json:
        """Give the API's JSON for an error."""
        return {"type": "error", "error": error, "request_id": self.id}

    def refused(self, error: ProxyError) -> web.Response:
        """Answer with a failure of ours."""
        body: Json = {"type": error.kind, "message": error.message}
        if error.code == "thread_unsupported_request":
            body["details"] = {"error_code": error.code, "unsupported": ["thread"]}
        return self.json(self.failure(body), status=error.status)
