"""Pictures and files as clients send them, to sources as the Messages API has them. Pure."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from claude_proxy.canon.blocks import Source
from claude_proxy.errors import BadRequest

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The pictures that a model can see."""

_SPELLINGS = {"image/jpg": "image/jpeg"}


def image_source(url: str, where: str) -> Source:
    """Read a picture's URL, whose path in the request is ``where``."""
    if is_web(url):
        return Source(type="url", url=url)
    given, data = _data_uri(url, where)
    media_type = _SPELLINGS.get(given, given)
    if media_type not in IMAGE_TYPES:
        raise BadRequest(f"{where}: {given or 'no type'} isn't one of PNG, JPEG, GIF and WebP", param=where)
    return Source(type="base64", media_type=media_type, data=packed_base64(data, where))


def file_source(url: str, where: str) -> Source:
    """Read a file's URL, whose path in the request is ``where``."""
    if is_web(url):
        return Source(type="url", url=url)
    media_type, data = _data_uri(url, where)
    if media_type == "application/pdf":
        return Source(type="base64", media_type=media_type, data=packed_base64(data, where))
    if media_type.startswith("text/"):
        # The Messages API has one text type; what the text is written in, the model sees by itself.
        return Source(type="text", media_type="text/plain", data=_decoded(url, data, where))
    raise BadRequest(f"{where}: {media_type or 'no type'} is neither a PDF nor text", param=where)


def is_web(url: str) -> bool:
    """Say whether a URL is one that an upstream can fetch."""
    return url[:8].lower().startswith(("http://", "https://"))


def _data_uri(url: str, where: str) -> tuple[str, str]:
    """Give a data URI's media type (without parameters, in lower case) and what stands behind its comma."""
    head, comma, data = url.partition(",")
    if not comma or not head[:5].lower() == "data:":
        raise BadRequest(f"{where}: only http, https and data URLs can be read", param=where)
    return head[5:].partition(";")[0].strip().lower(), data


def packed_base64(data: str, where: str) -> str:
    """Give base64 without white space, having made sure that it is some."""
    packed = "".join(data.split())
    try:
        if not base64.b64decode(packed, validate=True):
            raise BadRequest(f"{where}: it holds no data", param=where)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{where}: it isn't valid base64: {error}", param=where) from error
    return packed


def _decoded(url: str, data: str, where: str) -> str:
    encoded = url.partition(",")[0].lower().endswith(";base64")
    content = base64.b64decode(packed_base64(data, where)) if encoded else unquote_to_bytes(data)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"{where}: the text isn't UTF-8", param=where) from error
    if not text or text.isspace():
        raise BadRequest(f"{where}: it holds no data", param=where)
    return text
