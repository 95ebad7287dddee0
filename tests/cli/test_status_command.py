"""``status`` against servers that run, that don't, and that aren't ours: whole output and exit codes."""

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest
import signed_in_claude
import trustme
from cli_command import Command, Done
from scripted_server import Serve
from telling_server import cli_backend, document, telling

from claude_proxy.config.schema import Tls
from claude_proxy.ledger.entry import Entry
from claude_proxy.ledger.store import Ledger, usage_path

SERVED = """\
claude-proxy 0.1.0  running  http://127.0.0.1:{port}  up 2 h 13 m
2 of at most 64 requests under way, pid 4711
/home/me/config.yaml

Backends
  claude-cli       ready      me@example.test (max)  claude CLI 9.9.9
  claude-cli/work  not ready  not signed in: run `claude-proxy login --profile
                              work`

Processes
  1 warm, 2 busy, 1 idle, 0 waiting  of at most 4, 612 MB

Usage                  requests     in   out  cached  list price
  today                       3  10.4k  2.1k    120k       $0.12
    claude-sonnet-5-5         3  10.4k  2.1k    120k       $0.12
  this month                  3  10.4k  2.1k    120k       $0.12
    claude-sonnet-5-5         3  10.4k  2.1k    120k       $0.12
  list price: what the tokens would have cost at the API's list prices of
  2026-11-01; a plan isn't billed by it
"""


@pytest.fixture
def nowhere() -> int:
    """Give a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def run(command: Command, *arguments: str, **more: str) -> Done:
    """Run the command in a thread, as the server is in this one."""
    return await asyncio.to_thread(command, *arguments, **more)


def configure(text: str) -> None:
    """Write the configuration, in the test's own folder."""
    Path("config.yaml").write_text(text)


def without_blanks(text: str) -> str:
    """Leave out the blanks at the lines' ends."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


# -- A server that runs ------------------------------------------------------------------------------------------------


async def test_a_running_server_is_shown(command: Command) -> None:
    """Everything it tells, on 80 columns, and nothing on stderr."""
    signed_out = cli_backend(
        "work", ready=False, account=None, detail="not signed in: run `claude-proxy login --profile work`", pool=None
    )
    async with telling(status=(200, document(backends=[cli_backend(), signed_out]))) as server:
        done = await run(command, "status", "--port", str(server.port))

    assert (done.code, done.err) == (0, "")
    assert without_blanks(done.out) == SERVED.format(port=server.port)


async def test_json_is_what_the_server_tells(command: Command) -> None:
    """Word for word, also what this version doesn't know, and where it was asked."""
    told = document(news="of a later version")
    async with telling(status=(200, told)) as server:
        done = await run(command, "status", "--json", "--port", str(server.port))

    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        "running": True,
        "url": f"http://127.0.0.1:{server.port}",
        "detail": None,
        **told,
    }


async def test_the_real_server_is_understood(command: Command, serve: Serve) -> None:
    """Its document, with a turn in it that went well and one that failed."""
    server = await serve(api_keys=("secret",))
    configure("api-keys: [env:MY_KEY]\n")
    for model, status in (("sonnet", 200), ("nope", 404)):
        async with server.chat(model=model, headers={"Authorization": "Bearer secret"}) as reply:
            assert reply.status == status
    arguments = ("status", "--config", "config.yaml", "--port", str(server.where.port))
    done = await run(command, *arguments, MY_KEY="secret")
    found = json.loads((await run(command, *arguments, "--json")).out)

    assert (done.code, done.err) == (0, "")
    assert f"  running  {server.url}  up 0 s\n0 of at most 64 requests under way, pid " in done.out
    assert "\nBackends\n  scripted  ready  fine\n" in without_blanks(done.out)
    assert "  404  there is no model 'nope'" in done.out
    assert "\n    claude-sonnet-5-5  scripted " in done.out
    assert found["usage"]["today"]["models"][0]["input_tokens"] == 3
    assert found["running"] is True


async def test_the_configuration_and_the_command_line_say_where(command: Command) -> None:
    """The file's address and first key; ``--port`` and ``--host`` go before it."""
    async with telling(status=(200, document())) as server:
        configure(f"host: localhost\nport: {server.port}\napi-keys: [one, two]\n")
        assert (await run(command, "--config", "config.yaml", "status")).code == 0
        configure("port: 1\napi-keys: [one]\n")
        there = ("--host", "127.0.0.1", "--port", str(server.port))
        assert (await run(command, "status", *there, "--config", "config.yaml")).code == 0

    assert server.keys == ["Bearer one", "Bearer one"]


async def test_https_with_the_user_s_own_certificate(command: Command, serve: Serve, tmp_path: Path) -> None:
    """As the configuration has it, on loopback, whatever name is on the certificate."""
    issued = trustme.CA().issue_cert("box.example")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    server = await serve(tls=Tls(cert=cert, key=key))
    configure(f"tls: {{cert: {cert}, key: {key}}}\nport: {server.where.port}\n")
    done = await run(command, "status", "--config", "config.yaml")

    assert (done.code, done.err) == (0, "")
    assert f"  running  https://127.0.0.1:{server.where.port}  up " in done.out


@pytest.mark.parametrize(("keys", "words"), [("", "wants a key"), ("api-keys: [wrong]", "refuses the first")])
async def test_a_wrong_key_is_told(command: Command, serve: Serve, keys: str, words: str) -> None:
    """One line, exit code 1; for scripts, that something of ours runs."""
    server = await serve(api_keys=("secret",))
    configure(keys)
    arguments = ("status", "--config", "config.yaml", "--port", str(server.where.port))
    done = await run(command, *arguments)
    found = json.loads((await run(command, *arguments, "--json")).out)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: the server at {server.url} {words}")
    assert done.err.count("\n") == 1
    assert (found["running"], found["usage"], found["backends"]) == (True, None, [])
    assert words in found["detail"]


async def test_a_server_of_another_version_may_not_be_understood(command: Command) -> None:
    """It is said which versions there are."""
    async with telling(status=(200, document(backends="none", version="9.9.9"))) as server:
        done = await run(command, "status", "--port", str(server.port))

    assert (done.code, done.out) == (1, "")
    assert "the answer of the server, version 9.9.9, isn't understood by this command's" in done.err
    assert done.err.endswith(": restart the server\n")


async def test_something_else_on_the_port_is_told(command: Command, tmp_path: Path) -> None:
    """It isn't a server of ours, so none runs."""
    config = signed_in_claude.write(tmp_path, signed_in=True)
    async with telling(name="nginx") as server:
        done = await run(command, "status", "--port", str(server.port), "--config", str(config))

    assert done.code == 1
    assert done.err.startswith(f"error: something else than claude-proxy listens at http://127.0.0.1:{server.port}")


# -- No server ---------------------------------------------------------------------------------------------------------


def test_a_stopped_server_says_how_to_start_it(command: Command, tmp_path: Path, nowhere: int) -> None:
    """And who is signed in, which the CLI knows."""
    signed_in_claude.write(tmp_path, signed_in=True, more=f"port: {nowhere}\n")
    done = command("status", CLAUDE_PROXY_CONFIG="config.yaml")

    assert done.code == 1
    assert without_blanks(done.out) == (
        f"claude-proxy  not running  http://127.0.0.1:{nowhere}\n"
        "\n"
        "Sign-in\n"
        "  claude-cli       me@example.test (max)  claude CLI 9.9.9\n"
        "  claude-cli/work  not signed in: run `claude-proxy login --profile work`\n"
        "\n"
    )
    assert done.err == f"error: no server at http://127.0.0.1:{nowhere}: start it with `claude-proxy serve`\n"


async def test_json_of_a_stopped_server_has_the_same_keys(command: Command, tmp_path: Path, nowhere: int) -> None:
    """With the usage, which is in a file, and nothing on stderr."""
    config = signed_in_claude.write(tmp_path, signed_in=True)
    ledger = Ledger(usage_path())
    ledger.note(Entry(time.time(), "chat", "claude-cli", "", "claude-sonnet-5-5", 200, 1.0, input_tokens=7))
    await ledger.close()
    done = await run(command, "status", "--json", "--port", str(nowhere), "--config", str(config))
    found = json.loads(done.out)

    assert (done.code, done.err) == (1, "")
    assert list(found) == ["running", "url", "detail", *document()]
    assert found["running"] is False
    assert found["detail"].endswith("start it with `claude-proxy serve`")
    assert found["config"] == str(config)
    assert [(one["profile"], one["ready"], one["account"]) for one in found["backends"]] == [
        ("", False, "me@example.test (max)"),
        ("work", False, None),
    ]
    assert found["usage"]["month"]["total"]["input_tokens"] == 7
    assert (found["pid"], found["requests"], found["errors"]) == (None, None, [])


def test_without_the_cli_it_says_how_to_install_it(command: Command, nowhere: int) -> None:
    """A person may have nothing yet."""
    configure("claude-cli: {path: /nowhere/claude}\n")
    done = command("status", "--port", str(nowhere), "--config", "config.yaml", COLUMNS="200")

    assert done.code == 1
    assert "Sign-in\n  claude-cli  claude-cli.path: /nowhere/claude isn't a working claude binary" in done.out


def test_without_the_cli_backend_nobody_is_asked(command: Command, nowhere: int) -> None:
    """Who has switched it off needs no sign-in."""
    configure("claude-cli: {enabled: false}\nport: 1\n")
    done = command("status", "--json", "--port", str(nowhere), "--config", "config.yaml")

    assert json.loads(done.out)["backends"] == []


# -- Wrong usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--json", "--check"])
def test_watch_goes_with_nothing_else(command: Command, option: str) -> None:
    """Wrong usage is exit code 2."""
    done = command("status", "--watch", option)

    assert (done.code, done.out) == (2, "")
    assert "it goes with neither --json nor --check. See `claude-proxy" in done.err


def test_watch_needs_a_terminal(command: Command) -> None:
    """A pipe can't be drawn on."""
    done = command("status", "--watch")

    assert (done.code, done.out) == (2, "")
    assert "it needs a terminal; --json is for scripts." in done.err


def test_a_mistake_in_the_configuration_is_told_before_anything_is_asked(command: Command) -> None:
    """Exit code 2, as for ``serve``."""
    configure("prot: 1\n")
    done = command("status", "--config", "config.yaml")

    assert (done.code, done.out) == (2, "")
    assert 'prot: unknown key; did you mean "port"?' in done.err
