"""``models``: by the running server's word, else by the CLI's own."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import signed_in_claude
from cli_command import Command, Done
from scripted_server import ScriptedBackend, Serve

from claude_proxy.errors import NotSignedIn
from claude_proxy.simulator import Simulator

KEYS = ["id", "alias_of", "display_name", "backend", "context_window", "max_output_tokens", "effort_levels"]


@pytest.fixture
def nowhere() -> str:
    """Give a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return str(sock.getsockname()[1])


async def run(command: Command, *arguments: str, **more: str) -> Done:
    """Run the command in a thread, as the server is in this one."""
    return await asyncio.to_thread(command, "models", *arguments, **more)


def configure(text: str) -> None:
    """Write the configuration, in the test's own folder."""
    Path("config.yaml").write_text(text)


async def test_a_running_server_lists_them(command: Command, serve: Serve) -> None:
    """Every name that can be asked for, with the aliases of the server's configuration."""
    server = await serve(model_aliases={"gpt-4o": "sonnet"})
    done = await run(command, "--port", str(server.where.port))

    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "id                 backend   context  max output  effort\n"
        "claude-sonnet-5-5  scripted       1k           -  low high\n"
        "  sonnet           alias of claude-sonnet-5-5\n"
        "  gpt-4o           alias of claude-sonnet-5-5\n"
        "claude-opus-5-5    scripted        -           -\n"
        "  opus             alias of claude-opus-5-5\n"
        "\n"
        f"listed by the server at {server.url}\n"
    )


async def test_json_is_a_list(command: Command, serve: Serve) -> None:
    """Each entry has the same keys; asked with the configuration's key, in OpenAI's shape."""
    server = await serve(api_keys=("secret",))
    configure("api-keys: [secret]\n")
    done = await run(command, "--json", "--config", "config.yaml", "--port", str(server.where.port))
    found: list[dict[str, Any]] = json.loads(done.out)

    assert (done.code, done.err) == (0, "")
    assert all(list(model) == KEYS for model in found)
    assert [(model["id"], model["alias_of"]) for model in found] == [
        ("claude-sonnet-5-5", None),
        ("claude-opus-5-5", None),
        ("sonnet", "claude-sonnet-5-5"),
        ("opus", "claude-opus-5-5"),
    ]


async def test_a_server_that_is_not_signed_in_is_exit_code_3(
    command: Command, serve: Serve, backend: ScriptedBackend
) -> None:
    """It can't say, and neither could the CLI."""
    backend.offered = NotSignedIn("nobody is signed in: run `claude-proxy login`")
    server = await serve()
    done = await run(command, "--port", str(server.where.port))

    assert (done.code, done.out) == (3, "")
    assert done.err == "error: nobody is signed in: run `claude-proxy login`\n"


async def test_a_wrong_key_is_no_reason_to_ask_the_cli(command: Command, serve: Serve) -> None:
    """The server's list may be another one."""
    server = await serve(api_keys=("secret",))
    done = await run(command, "--port", str(server.where.port))

    assert (done.code, done.out) == (1, "")
    assert "wants a key" in done.err


async def test_without_a_server_the_cli_itself_lists_them(command: Command, nowhere: str) -> None:
    """The real one, in a sign-in's own process, which is gone afterwards; aliases are the configuration's."""
    async with Simulator() as simulator:
        configure(f"claude-cli: {{base-url: '{simulator.base_url}'}}\nmodel-aliases: {{gpt-4o: sonnet}}\n")
        arguments = ("--port", nowhere, "--config", "config.yaml")
        done = await run(command, *arguments, CLAUDE_CODE_OAUTH_TOKEN="dummy")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("id ")
    assert "  sonnet " in done.out
    assert "  gpt-4o " in done.out
    assert done.out.endswith(f"\nlisted by the claude CLI itself: no server at http://127.0.0.1:{nowhere}\n")


def test_nobody_signed_in_is_exit_code_3(command: Command, tmp_path: Path, nowhere: str) -> None:
    """And what to do."""
    config = signed_in_claude.write(tmp_path, signed_in=False)
    done = command("models", "--port", nowhere, "--config", str(config))

    assert (done.code, done.out) == (3, "")
    assert done.err == "error: not signed in: run `claude-proxy login`\n"


def test_without_the_cli_it_says_how_to_install_it(command: Command, nowhere: str) -> None:
    """Exit code 1: a sign-in wouldn't help."""
    configure("claude-cli: {path: /nowhere/claude}\n")
    done = command("models", "--port", nowhere, "--config", "config.yaml")

    assert (done.code, done.out) == (1, "")
    assert "isn't a working claude binary" in done.err


def test_without_server_and_cli_it_says_how_to_start_the_server(command: Command, nowhere: str) -> None:
    """Upstreams with an API key are the server's to ask."""
    configure("claude-cli: {enabled: false}\n")
    done = command("models", "--port", nowhere, "--config", "config.yaml")

    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: no server at http://127.0.0.1:{nowhere}: start it with `claude-proxy serve`\n"
