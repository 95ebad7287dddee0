"""The way to the running server: where it is, how it is asked, and what is said when it isn't there."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from telling_server import telling

from claude_proxy.cli.server_client import NoServer, Place, ask, place
from claude_proxy.config.schema import Config, Tls
from claude_proxy.errors import ConfigError, Forbidden, NotFound, NotSignedIn, ProxyError, Unauthorized

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[Place]:
    """Run something that isn't a server of ours."""
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        yield Place("127.0.0.1", server.sockets[0].getsockname()[1])


async def asked(where: Place, path: str = "/api/status", **options: Any) -> Any:
    """Ask in a thread, as the server is in this one."""
    return await asyncio.to_thread(ask, where, path, **options)


async def refused(where: Place, kind: type[ProxyError], **options: Any) -> str:
    """Give what is said when asking fails."""
    with pytest.raises(kind) as failed:
        await asked(where, **options)
    return failed.value.message


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({}, "http://127.0.0.1:8317"),
        ({"host": ""}, "http://127.0.0.1:8317"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8317"),
        ({"host": "::"}, "http://[::1]:8317"),
        ({"host": "[::1]", "port": 9}, "http://[::1]:9"),
        ({"host": "box.example", "tls": Tls(cert="c", key="k")}, "https://box.example:8317"),
    ],
)
def test_the_configuration_says_where_it_is(config: dict[str, Any], url: str) -> None:
    """What listens everywhere is asked on this machine."""
    assert place(Config(**config)).url == url


def test_the_command_line_goes_before_the_configuration() -> None:
    """As it does for ``serve``."""
    assert place(Config(), host="localhost", port=9).url == "http://localhost:9"


def test_any_free_port_is_nowhere() -> None:
    """Port 0 says nothing of where the server came to listen."""
    with pytest.raises(ConfigError, match="name the server's own with --port"):
        place(Config(port=0))


def test_the_first_of_the_keys_is_sent_and_not_shown() -> None:
    """Where there are any."""
    where = place(Config(api_keys=("secret", "other")))

    assert where.key == "secret"
    assert "secret" not in repr(where)


async def test_the_server_is_asked_with_the_key() -> None:
    """As clients send it."""
    async with telling(status=(200, {"pid": 1})) as server:
        assert await asked(Place("127.0.0.1", server.port, "secret")) == {"pid": 1}
        assert await asked(Place("127.0.0.1", server.port)) == {"pid": 1}

    assert server.keys == ["Bearer secret", None]


async def test_no_proxy_of_the_environment_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for the network, and the server is here."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with telling(status=(200, {})) as server:
        assert await asked(Place("127.0.0.1", server.port)) == {}


async def test_nobody_there_says_how_to_start() -> None:
    """The usual case."""
    async with telling() as server:
        pass
    said = await refused(Place("127.0.0.1", server.port), NoServer)

    assert said == f"no server at http://127.0.0.1:{server.port}: start it with `claude-proxy serve`"


async def test_another_server_on_the_port_is_not_ours() -> None:
    """Told by its name, before a word of it is believed."""
    async with telling(name="nginx", status=(200, {})) as server:
        said = await refused(Place("127.0.0.1", server.port), NoServer)

    assert said.startswith(f"something else than claude-proxy listens at http://127.0.0.1:{server.port}: stop it, or")


async def test_what_speaks_no_http_is_not_ours() -> None:
    """A mail server, say."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with listening(greet) as where:
        assert "something else than claude-proxy" in await refused(where, NoServer)


async def test_what_hangs_up_may_be_stopping() -> None:
    """Nothing is known of it."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(hang_up) as where:
        assert "closes the connection without an answer" in await refused(where, NoServer)


async def test_what_is_silent_is_not_waited_for() -> None:
    """A server that hangs doesn't hang the command."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(keep_silent) as where:
        assert "doesn't answer within 0.1 s" in await refused(where, NoServer, seconds=0.1)


async def test_an_unknown_host_is_named() -> None:
    """A typing error, mostly; such a name is known nowhere."""
    assert "the host 'nowhere.invalid' isn't known" in await refused(Place("nowhere.invalid", 9), NoServer)


async def test_an_address_that_can_not_be_had_says_why() -> None:
    """In the operating system's words."""
    said = await refused(Place("255.255.255.255", 9), NoServer)

    assert said.startswith("http://255.255.255.255:9 can't be reached: ")


@pytest.mark.parametrize(
    ("status", "error", "key", "kind", "words"),
    [
        (401, {"code": "invalid_api_key"}, "k", Unauthorized, "refuses the first of the configuration's `api-keys`"),
        (401, {"code": "invalid_api_key"}, "", Unauthorized, "wants a key, and `api-keys` is empty"),
        (401, {"code": "not_signed_in", "message": "sign in"}, "", NotSignedIn, "sign in"),
        (403, {"message": "not your Host"}, "", Forbidden, "not your Host"),
        (404, {}, "", NotFound, "is of a version that has no /api/status: restart it"),
        (500, "odd", "", ProxyError, "answers with status 500"),
    ],
)
async def test_a_server_that_refuses_is_understood(
    status: int, error: Any, key: str, kind: type[ProxyError], words: str
) -> None:
    """Each refusal says what to do, and none is taken for a server that is not there."""
    async with telling(status=(status, {"error": error})) as server:
        said = await refused(Place("127.0.0.1", server.port, key), kind)

    assert words in said


@pytest.mark.parametrize("body", [b"<html>", b"[1]"])
async def test_an_odd_answer_is_a_failure(body: bytes) -> None:
    """Whatever it is."""
    async with telling(status=(500, body)) as server:
        with pytest.raises(ProxyError):
            await asked(Place("127.0.0.1", server.port))


# -- HTTPS -------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for another name than the address; give the server's context, and its file."""
    issued = trustme.CA().issue_cert(name)
    file = folder / f"{name}.pem"
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(file), append=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    return context, str(file)


async def test_https_with_the_user_s_own_certificate(tmp_path: Path) -> None:
    """It is known from its file, so neither its name nor who has signed it matter on loopback."""
    context, file = certificate(tmp_path, "box.example")
    async with telling(secure=context, status=(200, {"pid": 1})) as server:
        assert await asked(Place("127.0.0.1", server.port, "k", file)) == {"pid": 1}


async def test_another_certificate_gets_no_key(tmp_path: Path) -> None:
    """Who shows it isn't the server of this configuration."""
    context, _ = certificate(tmp_path, "other.example")
    _, file = certificate(tmp_path, "box.example")
    async with telling(secure=context, status=(200, {})) as server:
        said = await refused(Place("127.0.0.1", server.port, "k", file), NoServer)

    assert f"shows another certificate than {file} (" in said
    assert server.keys == []


async def test_a_server_without_https_where_the_configuration_wants_it(tmp_path: Path) -> None:
    """It was started before that was written."""
    _, file = certificate(tmp_path, "box.example")
    async with telling(status=(200, {})) as server:
        said = await refused(Place("127.0.0.1", server.port, "k", file), NoServer)

    assert said.endswith("doesn't speak HTTPS, as `tls` says it should: restart it")
    assert server.keys == []


async def test_a_certificate_that_is_not_there_is_a_wrong_configuration(tmp_path: Path) -> None:
    """Said of the key that names it."""
    with pytest.raises(ConfigError, match=r"tls: .*gone\.pem can't be used: No such file"):
        await asked(Place("127.0.0.1", 9, "k", str(tmp_path / "gone.pem")))
