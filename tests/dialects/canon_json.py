"""A request in our types as JSON, for golden files."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from claude_proxy.canon.codec import encode_message
from claude_proxy.canon.request import Request


def shown(request: Request) -> Any:
    """Give a request's JSON: only what is asked for, blocks as the Messages API writes them."""
    empty = Request(model="", messages=())
    fields = {name: getattr(request, name) for name in Request.__struct_fields__}
    asked = {name: value for name, value in fields.items() if value != getattr(empty, name)}
    asked["messages"] = [encode_message(message) for message in request.messages]
    return json.loads(msgspec.json.encode(asked))
