"""How the server starts, where it listens, and how it ends without cutting anybody off."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import ssl
import time
from pathlib import Path

import aiohttp
import pytest
import trustme
from scripted_server import ScriptedBackend, Serve, reply

from claude_proxy.backends.base import Health
from claude_proxy.config.schema import Config, Streaming, Tls
from claude_proxy.errors import ConfigError, Unavailable
from claude_proxy.server.app import serve_forever
from claude_proxy.server.catalog import offers
from claude_proxy.server.exchange import Server
from claude_proxy.server.listen import Listening, bind, listening, ssl_context

has_ipv6 = socket.has_ipv6


async def test_a_free_port_is_found_and_told(serve: Serve, backend: ScriptedBackend) -> None:
    """``port: 0`` gives a port that answers, and the backend has been started by then."""
    server = await serve()
    assert server.where.host == "127.0.0.1"
    assert server.where.urls == (f"http://127.0.0.1:{server.where.port}",)
    assert backend.started
    assert not backend.closed
    async with server.http.get(f"{server.url}/health") as response:
        assert response.status == 200


async def test_a_port_in_use_is_a_clear_error(serve: Serve, backend: ScriptedBackend) -> None:
    """The message names the address; nothing is left open, and the backend was never started."""
    server = await serve()
    second = ScriptedBackend()
    with pytest.raises(
        OSError, match=rf"can't listen on 127\.0\.0\.1:{server.where.port}: the port is in use"
    ) as caught:
        await serve_forever(Config(port=server.where.port), [second])
    assert caught.value.errno == errno.EADDRINUSE
    assert not second.started


@pytest.mark.skipif(not has_ipv6, reason="no IPv6 here")
async def test_localhost_is_both_loopbacks_on_one_port(serve: Serve) -> None:
    """Clients resolve localhost to either; both are answered."""
    server = await serve(host="localhost")
    assert server.where.urls == (f"http://127.0.0.1:{server.where.port}", f"http://[::1]:{server.where.port}")
    for url in server.where.urls:
        async with server.http.get(f"{url}/health") as response:
            assert response.status == 200


@pytest.mark.skipif(not has_ipv6, reason="no IPv6 here")
async def test_a_port_taken_on_one_of_two_addresses_is_an_error() -> None:
    """Half of the clients would reach somebody else."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await bind("localhost", port)
        with socket.create_server(("127.0.0.1", port)):
            """The first address was given back."""


async def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers often have no ::1."""
    original = socket.create_server

    def create_server(address: tuple[str, int], *, family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return original(address, family=family)

    monkeypatch.setattr(socket, "create_server", create_server)
    (sock,) = await bind("localhost", 0)
    sock.close()


async def test_an_address_that_is_not_ours_is_an_error() -> None:
    """A typing error in ``host`` is told with the system's reason."""
    with pytest.raises(OSError, match=r"can't listen on 192\.0\.2\.1:0: "):
        await bind("192.0.2.1", 0)


async def test_ports_that_never_match_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for a port that is free on both addresses has an end."""

    def create_server(address: tuple[str, int], *, family: int) -> socket.socket:
        raise OSError(errno.EADDRINUSE, f"{address} {family}")

    monkeypatch.setattr(socket, "create_server", create_server)
    with pytest.raises(OSError, match=r"no port is free on all of 127\.0\.0\.1, ::1"):
        await bind("localhost", 0)


def test_all_interfaces_are_shown_as_loopback() -> None:
    """Nobody can paste 0.0.0.0 into a client."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert listening([_Named(("0.0.0.0", port)), _Named(("::", port, 0, 0))], secure=True) == Listening(
            "0.0.0.0", port, (f"https://127.0.0.1:{port}", f"https://[::1]:{port}")
        )


class _Named(socket.socket):
    """A socket that says it is bound where tests must not bind."""

    def __init__(self, name: tuple[object, ...]) -> None:
        super().__init__()
        self._name = name
        self.close()

    def getsockname(self) -> tuple[object, ...]:
        return self._name


async def test_an_empty_host_is_every_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """``host: ""`` asks for both wildcard addresses (that it needs keys is the config's business)."""
    asked: list[str] = []

    def create_server(address: tuple[str, int], *, family: int) -> socket.socket:
        asked.append(address[0])
        return socket.socket(family)

    monkeypatch.setattr(socket, "create_server", create_server)
    for sock in await bind("", 1):
        sock.close()
    assert asked == ["0.0.0.0", "::"]


async def test_https_with_the_user_s_certificate(serve: Serve, tmp_path: Path) -> None:
    """With certificate and key the port speaks TLS and nothing else."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(key))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(cert), append=True)
    server = await serve(tls=Tls(cert=str(cert), key=str(key)))
    assert server.url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with server.http.get(f"{server.url}/health", ssl=context) as response:
        assert response.status == 200


def test_a_certificate_that_cant_be_read_is_told_by_its_key() -> None:
    """One line that names the key, as for every mistake in the file."""
    with pytest.raises(ConfigError, match=r"tls: .*No such file"):
        ssl_context(Tls(cert="/nonexistent/cert.pem", key="/nonexistent/key.pem"))


def test_a_certificate_without_a_key_is_no_https() -> None:
    """HTTPS is on when both are set."""
    assert ssl_context(Tls(cert="cert.pem")) is None


async def test_a_backend_that_is_slow_to_start_keeps_nobody_waiting(
    serve: Serve, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port answers at once, whatever the backend does."""

    async def start() -> None:
        await asyncio.sleep(0.5)

    monkeypatch.setattr(backend, "start", start)
    began = time.monotonic()
    server = await serve()
    async with server.http.get(f"{server.url}/health") as response:
        assert response.status == 200
    assert time.monotonic() - began < 0.4


async def test_on_ready_may_be_a_coroutine(backend: ScriptedBackend) -> None:
    """What is told at the start may itself ask the backends."""
    stop, told = asyncio.Event(), list[Health]()

    async def on_ready(where: Listening) -> None:
        assert where.port
        told.append(await backend.health())
        stop.set()

    await asyncio.wait_for(serve_forever(Config(port=0), [backend], on_ready=on_ready, stop=stop), 10)
    assert told
    assert backend.closed


async def test_stopping_closes_the_backends_and_the_port(serve: Serve, backend: ScriptedBackend) -> None:
    """After the end nobody answers, and nothing is left."""
    server = await serve()
    async with server.chat() as response:
        await response.read()
    began = time.monotonic()
    await server.end()
    assert time.monotonic() - began < 1
    assert backend.closed
    with pytest.raises(aiohttp.ClientConnectionError):
        await server.chat()


async def test_a_backend_that_fails_to_close_does_not_keep_the_others(
    serve: Serve, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every backend is closed, and the failure is in the log."""
    broken = ScriptedBackend(name="broken")

    async def close() -> None:
        raise RuntimeError("stuck")

    monkeypatch.setattr(broken, "close", close)
    server = await serve(broken, backend)
    await server.end()
    assert backend.closed
    assert "the backend broken didn't close cleanly" in caplog.text


@pytest.mark.parametrize("stream", [False, True])
async def test_an_open_answer_may_end_in_its_own_time(serve: Serve, backend: ScriptedBackend, *, stream: bool) -> None:
    """Stopping takes no new connection, and what is under way comes whole; only then the backend is closed."""
    gate = asyncio.Event()
    backend.script = [*reply("Hello")[:3], gate, *reply("Hello")[3:]]
    server = await serve(shutdown_seconds=20)
    request = asyncio.ensure_future(server.chat(stream=stream))
    await asyncio.wait_for(backend.entered.wait(), 5)
    server.stop.set()
    while True:
        try:
            _, writer = await server.connect()
        except ConnectionError:
            break
        writer.close()
        await asyncio.sleep(0.01)
    assert not server.task.done()
    assert not backend.closed
    gate.set()
    async with await request as response:
        text = await response.text()
    assert "Hello" in text
    assert ("[DONE]" in text) is stream
    await asyncio.wait_for(server.task, 5)
    assert backend.closed


async def test_a_stream_that_goes_on_is_failed_in_the_end(serve: Serve, backend: ScriptedBackend) -> None:
    """After ``shutdown-seconds`` the client reads an error event, never a clean end."""
    backend.script = [*reply("Hello")[:3], asyncio.Event()]
    server = await serve(shutdown_seconds=0.2)
    async with server.chat(stream=True) as response:
        server.stop.set()
        text = await response.text()
    assert "the server is stopping" in text
    await asyncio.wait_for(server.task, 5)
    assert backend.left.is_set()
    assert backend.closed


async def test_a_whole_answer_that_is_not_ready_in_time_is_503(serve: Serve, backend: ScriptedBackend) -> None:
    """A client that waits for one document gets a status that it can retry."""
    backend.entry = [asyncio.Event()]
    server = await serve(shutdown_seconds=0.2)
    request = asyncio.ensure_future(server.chat())
    await asyncio.wait_for(backend.entered.wait(), 5)
    server.stop.set()
    async with await request as response:
        assert response.status == 503
        assert response.headers["retry-after"] == "5"
    await asyncio.wait_for(server.task, 5)


async def test_a_half_sent_request_does_not_hold_the_end_up(serve: Serve) -> None:
    """Who is still sending a body when the server stops is not waited for."""
    server = await serve(shutdown_seconds=20)
    _, writer = await server.connect()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await server.end()
    assert time.monotonic() - began < 5


async def test_a_client_that_does_not_read_does_not_hold_the_end_up(serve: Serve, backend: ScriptedBackend) -> None:
    """A stream that can't even be told of its failure is cut off."""
    backend.script = reply(*["x" * 65536] * 500)
    server = await serve(shutdown_seconds=0.1)
    _, writer = await server.connect()
    body = b'{"model":"sonnet","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    await asyncio.wait_for(backend.entered.wait(), 5)
    await asyncio.sleep(0.3)
    await server.end()
    assert backend.left.is_set()
    assert backend.closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_the_server(serve: Serve, backend: ScriptedBackend, number: signal.Signals) -> None:
    """Ctrl-C and the service manager's SIGTERM end it in peace."""
    server = await serve()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(server.task, 5)
    assert backend.closed


async def test_a_second_signal_does_not_wait(serve: Serve, backend: ScriptedBackend) -> None:
    """Who presses Ctrl-C twice means it; the open stream still reads why."""
    backend.script = [*reply("Hello")[:3], asyncio.Event()]
    server = await serve(shutdown_seconds=60, streaming=Streaming(keepalive_seconds=0))
    async with server.chat(stream=True) as response:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(server.stop.wait(), 5)
        assert not server.task.done()
        os.kill(os.getpid(), signal.SIGINT)
        assert "the server is stopping" in await response.text()
    await asyncio.wait_for(server.task, 5)
    assert backend.closed


async def test_signals_are_given_back(serve: Serve) -> None:
    """After the end a signal has the effect that it had before."""
    before = signal.getsignal(signal.SIGTERM)
    server = await serve()
    assert signal.getsignal(signal.SIGTERM) != before
    await server.end()
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_cancelled_server_still_closes_everything(serve: Serve, backend: ScriptedBackend) -> None:
    """Whoever embeds the server may cancel it: nobody is waited for, and no backend is left open."""
    backend.script = [*reply("Hello")[:3], asyncio.Event()]
    server = await serve(shutdown_seconds=60)
    async with server.chat(stream=True) as response:
        server.task.cancel()
        assert "the server is stopping" in await response.text()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(server.task, 5)
    server.task = asyncio.create_task(asyncio.sleep(0))
    assert backend.closed


async def test_without_any_backend_the_reason_is_told() -> None:
    """A config that enables nothing is a 503 that says so."""
    with pytest.raises(Unavailable, match="no backend is set up"):
        await offers(Server(Config(), ()))
