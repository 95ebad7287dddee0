"""Chat Completions content parts to blocks."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from chat_asking import HI, ask, call, refused, result

from claude_proxy.canon.blocks import AnyBlock, Document, Image, Source, Text, ToolResult

PNG = base64.b64encode(b"\x89PNG").decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()
MARKER = {"type": "ephemeral", "ttl": "1h"}


def user(*parts: Any) -> dict[str, Any]:
    """Give a user message of parts."""
    return {"role": "user", "content": list(parts)}


def blocks(*parts: Any) -> tuple[AnyBlock, ...]:
    """Give the blocks that parts become."""
    return ask(user(*parts)).request.messages[0].content


def image(url: Any, **fields: Any) -> dict[str, Any]:
    """Give an image part."""
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def file(**fields: Any) -> dict[str, Any]:
    """Give a file part."""
    return {"type": "file", "file": fields}


def test_parts_keep_their_order() -> None:
    """Text and images stand as the client put them."""
    got = blocks({"type": "text", "text": "a"}, image("https://example.com/a.png"), "b")
    assert got == (Text(text="a"), Image(source=Source(type="url", url="https://example.com/a.png")), Text(text="b"))


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_c13_text_by_any_name_is_text(kind: str) -> None:
    """C13: the Responses API's part types are accepted too."""
    assert blocks({"type": kind, "text": "a"}) == (Text(text="a"),)


def test_empty_and_blank_parts_are_dropped() -> None:
    """The Messages API refuses text blocks without text."""
    assert blocks({"type": "text", "text": ""}, "", {"type": "text", "text": "\n "}, "a") == (Text(text="a"),)


@pytest.mark.parametrize("text", ["\0", "a\r\nb", "👩‍👩‍👧‍👦", " a ", "\u2028"])
def test_c36_text_arrives_as_it_was_written(text: str) -> None:
    """C36: nothing is stripped or changed in text that isn't blank."""
    if not text.isspace():
        assert blocks({"type": "text", "text": text}) == (Text(text=text),)
        assert ask({"role": "user", "content": text}).request.messages[0].content == (Text(text=text),)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_c12_a_data_uri_becomes_a_base64_source(kind: str) -> None:
    """C12: of the four types that the upstream reads."""
    (block,) = blocks(image(f"data:image/{kind};base64,{PNG}"))
    assert block == Image(source=Source(type="base64", media_type=f"image/{kind}", data=PNG))


def test_c12_a_data_uri_may_be_sloppy() -> None:
    """C12, C39: upper case, parameters, ``image/jpg`` and line ends in the base64 are common."""
    (block,) = blocks(image(f" DATA:image/JPG;name=a.jpg;base64,{PNG[:3]}\r\n {PNG[3:]}\n"))
    assert block == Image(source=Source(type="base64", media_type="image/jpeg", data=PNG))


@pytest.mark.parametrize("url", ["https://example.com/a.png?b=c", "HTTP://example.com/a"])
def test_c12_a_web_url_becomes_a_url_source(url: str) -> None:
    """C12: fetching it is the backend's matter."""
    assert blocks(image(url)) == (Image(source=Source(type="url", url=url)),)


def test_c39_image_url_may_be_the_url_itself() -> None:
    """C39: some clients leave out the object around it."""
    part = {"type": "image_url", "image_url": "https://example.com/a.png"}
    assert blocks(part) == (Image(source=Source(type="url", url="https://example.com/a.png")),)


@pytest.mark.parametrize(
    ("detail", "losses"), [(None, ()), ("auto", ()), ("high", ("image_url.detail",)), ("low", ("image_url.detail",))]
)
def test_c12_detail_is_a_named_loss(detail: str | None, losses: tuple[str, ...]) -> None:
    """C12: only where it asks for something."""
    assert ask(user(image("https://example.com/a.png", detail=detail))).losses == losses


def test_c12_images_in_tool_results() -> None:
    """C12: a tool may give an image back."""
    called = {"role": "assistant", "tool_calls": [call("a")]}
    parsed = ask(HI, called, result("a", [{"type": "text", "text": "seen"}, image(f"data:image/png;base64,{PNG}")]))
    (block,) = parsed.request.messages[2].content
    assert isinstance(block, ToolResult)
    assert block.content == (Text(text="seen"), Image(source=Source(type="base64", media_type="image/png", data=PNG)))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "/etc/hostname",
        "ftp://example.com/a.png",
        "",
        "data:image/png;base64",
        f"data:image/svg+xml;base64,{PNG}",
        f"data:;base64,{PNG}",
        "data:image/png;base64,not base64!",
        "data:image/png;base64,é",
        "data:image/png;base64,abc",
        "data:image/png;base64,",
    ],
)
def test_c12_other_urls_are_refused(url: str) -> None:
    """C12: no other scheme or type, and no data that isn't base64; the path names the URL."""
    assert refused(user("see", image(url))).param == "messages[0].content[1].image_url.url"


def test_c13_a_pdf_becomes_a_document() -> None:
    """C13: titled by its file name."""
    (block,) = blocks(file(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"))
    assert block == Document(source=Source(type="base64", media_type="application/pdf", data=PDF), title="a.pdf")


@pytest.mark.parametrize(
    "uri", ["data:text/markdown;base64,IyBow6k=", "data:text/plain;charset=utf-8,%23%20h%C3%A9", "data:text/x,# hé"]
)
def test_c13_a_text_file_becomes_a_document(uri: str) -> None:
    """C13: read from base64 or from percent encoding."""
    (block,) = blocks(file(file_data=uri))
    assert block == Document(source=Source(type="text", media_type="text/plain", data="# hé"))


def test_c13_a_files_url_becomes_a_url_source() -> None:
    """C13: what is behind it, the upstream reads."""
    (block,) = blocks(file(file_data="https://example.com/a.pdf"))
    assert block == Document(source=Source(type="url", url="https://example.com/a.pdf"))


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (file(file_id="file-1"), ".file.file_id"),
        (file(filename="a.pdf"), ".file.file_data"),
        (file(file_data="JVBERi0="), ".file.file_data"),
        (file(file_data=f"data:application/zip;base64,{PDF}"), ".file.file_data"),
        (file(file_data=f"data:,{PDF}"), ".file.file_data"),
        (file(file_data="data:text/plain;base64,/w=="), ".file.file_data"),
        (file(file_data="data:text/plain,%20"), ".file.file_data"),
        (file(file_data="data:text/plain,"), ".file.file_data"),
        ({"type": "file"}, ".file"),
        ({"type": "image_url"}, ".image_url"),
        (image(3), ".image_url.url"),
        ({"type": "image_url", "image_url": {}}, ".image_url"),
        ({"type": "text"}, ".text"),
        ({"type": "text", "text": 3}, ".text"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, ".type"),
        ({"type": "video_url", "video_url": {"url": ""}}, ".type"),
        ({"type": "hologram"}, ".type"),
        ({"text": "a"}, ""),
        (3, ""),
        (None, ""),
    ],
)
def test_c13_other_parts_are_refused_by_their_path(part: Any, param: str) -> None:
    """C13: ``file_id``, ``input_audio`` and what nobody knows are a 400 that names the part."""
    error = refused(user("a", part))
    assert error.param == "messages[0].content[1]" + param
    assert "messages[0].content[1]" in error.message


def test_c20_cache_markers_are_kept() -> None:
    """C20: on text, images and files, of users and systems alike."""
    text = {"type": "text", "text": "a", "cache_control": MARKER}
    url = image("https://example.com/a") | {"cache_control": MARKER}
    document = file(file_data=f"data:application/pdf;base64,{PDF}") | {"cache_control": MARKER}
    request = ask({"role": "system", "content": [text]}, user(text, url, document)).request
    assert request.system == (Text(text="a", cache_control=MARKER),)
    for block in request.messages[0].content:
        assert isinstance(block, Text | Image | Document)
        assert block.cache_control == MARKER


def test_what_a_part_holds_beside_is_a_named_loss() -> None:
    """Nothing is dropped in silence."""
    assert ask(user({"type": "text", "text": "a", "annotations": [], "lang": "en"})).losses == (
        "messages.content.lang",
    )
