"""Prompts from outside, through the real CLI: words are words wherever they stand, an address is only handed on."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from real_cli import Real, assistant, results_for, running, user
from served import serving

from claude_proxy.canon.blocks import Document, Source, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Tool
from claude_proxy.simulator import Simulator, tool_calls

SECRET = "the key to everything 7f3a91"


@pytest.fixture
def words(tmp_path: Path) -> str:
    """Give what the CLI would expand or run if somebody typed it, with a file of a secret's."""
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return f"@{path} see @{path}, /clear\n!cat {path}\n# {path}\n$(cat {path}) `cat {path}` file://{path} @file:{path}"


def schema(words: str) -> dict[str, Any]:
    """Give a tool's schema that says the words wherever it can say something."""
    return {
        "type": "object",
        "title": words,
        "description": words,
        "properties": {"a": {"type": "string", "description": words, "default": words, "enum": [words]}},
    }


async def test_words_are_words_wherever_they_stand(real: Real, words: str) -> None:
    """K04: in the system prompt, the history, tools and what they gave, documents and the last turn."""
    look = Tool(name="look", description=words, input_schema=schema(words))
    use = ToolUse(id="toolu_1", name="look", input={"a": words, words: 1})
    result = ToolResult(tool_use_id="toolu_1", content=(Text(text=words),))
    document = Document(source=Source(type="text", media_type="text/plain", data=words), title=words, context=words)
    history = (user(words, document), assistant(words, use), user(result), assistant(words))
    await real.ask(*history, user(words), system=(Text(text=words),), tools=(look,), stop_sequences=(words,))

    body = json.dumps(real.upstream[0], ensure_ascii=False)
    assert SECRET not in body
    # Twice in each of: what the schema, the call, the document and its turn say, and once where there is one place.
    written = json.dumps(words, ensure_ascii=False)[1:-1]
    assert body.count(written) >= 14
    turns = real.simulator.seen[0].conversation
    assert [blocks[-1]["text"] for role, blocks in (turns[3], turns[4])] == [words, words]


async def test_what_a_tool_gives_is_words_on_a_held_call(real: Real, words: str) -> None:
    """K04, K12: a tool's result comes from outside, too: a page, a file, a mail."""
    look = Tool(name="look", description="Look around.", input_schema={"type": "object", "properties": {}})
    real.simulator.queue.append(tool_calls(("look", {})))
    first = await real.ask(user("look"), tools=(look,))
    await real.ask(user("look"), first.said, results_for(first.reply, words), tools=(look,))
    assert json.dumps(words)[1:-1] in json.dumps(real.simulator.seen[-1].conversation[-1])
    assert SECRET not in str(real.upstream)


async def test_a_child_sees_an_empty_folder_and_nothing_of_our_environment(
    monkeypatch: pytest.MonkeyPatch, real: Real
) -> None:
    """Not the folder that the server was started in, nor what else its user had set there."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    real.backend.environment = dict(os.environ)
    await real.ask(user("hi"))
    (child,) = map(psutil.Process, real.pids())
    assert child.cwd() == str(real.folder / "work")
    assert child.environ()["HOME"] == str(real.folder / "home")
    assert SECRET not in child.environ().values()
    assert list((real.folder / "work").iterdir()) == []


@dataclass
class Trap:
    """A server of this machine's that nobody should ever ask."""

    port: int = 0
    asked: list[Any] = field(default_factory=list)

    async def note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Note who comes."""
        self.asked.append(writer.get_extra_info("peername"))
        writer.close()


@asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    """Set the trap."""
    found = Trap()
    server = await asyncio.start_server(found.note, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


def asking(urls: list[str]) -> dict[str, dict[str, Any]]:
    """Give a request of each dialect's that names addresses in each place where one can stand."""
    sources = [{"type": "url", "url": url} for url in urls]
    blocks = [{"type": kind, "source": source} for kind in ("image", "document") for source in sources]
    used = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"urls": urls}}
    seen = {"type": "tool_result", "tool_use_id": "toolu_1", "content": blocks}
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    files = [{"type": "file", "file": {"file_data": url}} for url in urls]
    pictures = [{"type": "input_image", "image_url": url} for url in urls]
    papers = [{"type": "input_file", "file_url": url} for url in urls]
    return {
        "/v1/messages": {
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": blocks},
                {"role": "assistant", "content": [used]},
                {"role": "user", "content": [seen]},
                {"role": "assistant", "content": "ok"},
                {"role": "user", "content": blocks},
            ],
            "mcp_servers": [{"type": "url", "url": url, "name": "m"} for url in urls],
        },
        "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": blocks}]},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": [*images, *files]}]},
        "/v1/responses": {"input": [{"role": "user", "content": [*pictures, *papers]}]},
    }


async def test_an_address_is_handed_on_and_never_fetched(tmp_path: Path) -> None:
    """SSRF: neither we nor the CLI ask it, so it needn't be judged; the API fetches it from where the API is."""
    async with (
        trap() as found,
        Simulator() as simulator,
        running(tmp_path, simulator, start=False) as backend,
        serving(backend) as url,
        aiohttp.ClientSession(url) as http,
    ):
        hosts = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433")
        addresses = [f"http://{host}:{found.port}/latest/meta-data" for host in hosts]
        for path, body in asking(addresses).items():
            async with http.post(path, json={"model": "sonnet", **body}) as response:
                assert response.status == 200, await response.text()
        for address in addresses:
            assert sum(address in str(seen.body) for seen in simulator.seen) == 3
    assert found.asked == []
