"""A message's ``content`` to blocks: text, images and files. Pure.

No empty or blank text block ever comes out, since the Messages API refuses those.
"""

from __future__ import annotations

from collections.abc import Callable

from claude_proxy.canon.blocks import Document, Image, Text
from claude_proxy.dialects.chat_wire import ImageUrl, Part
from claude_proxy.dialects.fields import lost_fields, take
from claude_proxy.dialects.media import file_source, image_source
from claude_proxy.errors import BadRequest

Content = str | list[object] | None
"""``content`` as it may come, in a message of any role."""


def texts(content: Content, where: str, losses: list[str]) -> list[Text]:
    """Read the content of a message that can only hold text."""
    found = blocks(content, where, losses)
    kept = [block for block in found if isinstance(block, Text)]
    if len(kept) != len(found):
        raise BadRequest(f"{where}: only text can stand in a message of this role", param=where)
    return kept


def blocks(content: Content, where: str, losses: list[str]) -> list[Text | Image | Document]:
    """Read ``content``, whose path is ``where``; append what is lost to ``losses``."""
    if not isinstance(content, list):
        return _text(content)
    found: list[Text | Image | Document] = []
    for index, raw in enumerate(content):
        if isinstance(raw, str):
            found += _text(raw)
            continue
        path = f"{where}[{index}]"
        part = take(raw, Part, path)
        assert isinstance(raw, dict)
        losses += lost_fields(raw, Part, "messages.content.") if part.type not in _REFUSED else ()
        found += _read(part, path, losses)
    return found


def _text(text: str | None, part: Part | None = None) -> list[Text | Image | Document]:
    if not text or text.isspace():
        return []
    return [Text(text=text, cache_control=part.cache_control if part else None)]


def _read(part: Part, path: str, losses: list[str]) -> list[Text | Image | Document]:
    if part.type in _REFUSED:
        raise BadRequest(f"{path}: {_REFUSED[part.type]}", param=f"{path}.type")
    reader = _READERS.get(part.type)
    if reader is None:
        raise BadRequest(f"{path}.type: there is no part of type {part.type!r}", param=f"{path}.type")
    return reader(part, path, losses)


def _read_text(part: Part, path: str, _: list[str]) -> list[Text | Image | Document]:
    if part.text is None:
        raise BadRequest(f"{path}.text: a text part needs text", param=f"{path}.text")
    return _text(part.text, part)


def _read_refusal(part: Part, _: str, __: list[str]) -> list[Text | Image | Document]:
    return _text(part.refusal, part)


def _read_image(part: Part, path: str, losses: list[str]) -> list[Text | Image | Document]:
    where = f"{path}.image_url"
    if part.image_url is None:
        raise BadRequest(f"{where}: an image part needs an image_url", param=where)
    image = part.image_url if isinstance(part.image_url, ImageUrl) else ImageUrl(part.image_url)
    if image.detail not in (None, "auto"):
        losses.append("image_url.detail")
    return [Image(source=image_source(image.url.strip(), f"{where}.url"), cache_control=part.cache_control)]


def _read_file(part: Part, path: str, _: list[str]) -> list[Text | Image | Document]:
    where = f"{path}.file"
    if part.file is None:
        raise BadRequest(f"{where}: a file part needs a file", param=where)
    if part.file.file_id:
        raise BadRequest(f"{where}.file_id: no files are stored here: send file_data", param=f"{where}.file_id")
    if not part.file.file_data:
        raise BadRequest(f"{where}.file_data: a file needs its data", param=f"{where}.file_data")
    source = file_source(part.file.file_data.strip(), f"{where}.file_data")
    return [Document(source=source, title=part.file.filename or None, cache_control=part.cache_control)]


_READERS: dict[str, Callable[[Part, str, list[str]], list[Text | Image | Document]]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "file": _read_file,
}

_REFUSED = {
    "input_audio": "no model here listens to audio",
    "video_url": "no model here watches video",
}
