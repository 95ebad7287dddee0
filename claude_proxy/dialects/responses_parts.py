"""The parts of an item's ``content`` or ``output`` to blocks: text, images and files. Pure.

No empty or blank text block ever comes out, since the Messages API refuses those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from claude_proxy.canon.blocks import Document, Image, Text
from claude_proxy.dialects.fields import lost_fields, take
from claude_proxy.dialects.media import file_source, image_source
from claude_proxy.dialects.responses_wire import Part
from claude_proxy.errors import BadRequest

Content = str | list[Any] | None
"""``content`` or ``output`` as it may come."""

Blocks = list[Text | Image | Document]


def texts(content: Content, where: str, losses: list[str]) -> list[Text]:
    """Read the content of a message that can only hold text."""
    found = blocks(content, where, losses)
    kept = [block for block in found if isinstance(block, Text)]
    if len(kept) != len(found):
        raise BadRequest(f"{where}: only text can stand in a message of this role", param=where)
    return kept


def blocks(content: Content, where: str, losses: list[str]) -> Blocks:
    """Read ``content``, whose path is ``where``; append what is lost to ``losses``."""
    if not isinstance(content, list):
        return _text(content)
    found: Blocks = []
    for index, raw in enumerate(content):
        path = f"{where}[{index}]"
        if isinstance(raw, str):
            found += _text(raw)
            continue
        part = take(raw, Part, path)
        reader = _READERS.get(part.type)
        if reader is None:
            raise BadRequest(f"{path}.type: the model takes no part of type {part.type!r}", param=f"{path}.type")
        losses += lost_fields(raw, Part, "input.content.")
        found += reader(part, path, losses)
    return found


def _text(text: str | None, part: Part | None = None) -> Blocks:
    if not text or text.isspace():
        return []
    return [Text(text=text, cache_control=part.cache_control if part else None)]


def _read_text(part: Part, path: str, losses: list[str]) -> Blocks:
    if part.text is None:
        raise BadRequest(f"{path}.text: a text part needs text", param=f"{path}.text")
    if part.annotations:
        losses.append("input.content.annotations")
    return _text(part.text, part)


def _read_refusal(part: Part, _: str, __: list[str]) -> Blocks:
    return _text(part.refusal, part)


def _read_image(part: Part, path: str, losses: list[str]) -> Blocks:
    _refuse_stored(part, path)
    if not part.image_url:
        raise BadRequest(f"{path}.image_url: an image part needs an image_url", param=f"{path}.image_url")
    if part.detail not in (None, "auto"):
        losses.append("input.content.detail")
    source = image_source(part.image_url.strip(), f"{path}.image_url")
    return [Image(source=source, cache_control=part.cache_control)]


def _read_file(part: Part, path: str, losses: list[str]) -> Blocks:
    _refuse_stored(part, path)
    field = "file_url" if part.file_url else "file_data"
    given: str | None = getattr(part, field)
    if not given:
        raise BadRequest(f"{path}.file_data: a file part needs its data or a URL", param=f"{path}.file_data")
    if part.detail not in (None, "auto"):
        losses.append("input.content.detail")
    source = file_source(given.strip(), f"{path}.{field}")
    return [Document(source=source, title=part.filename or None, cache_control=part.cache_control)]


def _refuse_stored(part: Part, path: str) -> None:
    if part.file_id:
        raise BadRequest(f"{path}.file_id: no files are stored here: send its data or a URL", param=f"{path}.file_id")


_READERS: dict[str, Callable[[Part, str, list[str]], Blocks]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
}
