"""Sockets and signals: where the server listens, and what makes it stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from claude_proxy.config.schema import Tls
from claude_proxy.errors import ConfigError

_LOOPBACK = ("127.0.0.1", "::1")
_ANY = ("0.0.0.0", "::")  # noqa: S104 - only where the user's config says so, and then keys are obligatory
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
_NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_QUIET_SECONDS = 60.0
_PORT_ATTEMPTS = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server can be reached. ``urls`` has no path; the first is the one to show."""

    host: str
    port: int
    urls: tuple[str, ...]


async def bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address that ``host`` stands for, all on one port; raise ``OSError`` where one can't be had."""
    addresses = await _addresses(host)
    for _ in range(_PORT_ATTEMPTS):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            # A free port of the first address may be taken on the second: another free one will do.
            if port or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port is free on all of {', '.join(addresses)}")


async def _addresses(host: str) -> tuple[str, ...]:
    if host in ("", "localhost"):
        return _LOOPBACK if host else _ANY
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _bind_all(addresses: Sequence[str], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            with suppress_missing_ipv6(address, others=bool(sockets)):
                sockets.append(_bind_one(address, port or (sockets[0].getsockname()[1] if sockets else 0)))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


@contextmanager
def suppress_missing_ipv6(address: str, *, others: bool) -> Iterator[None]:
    """Let a machine without IPv6 listen on IPv4 alone."""
    try:
        yield
    except OSError as error:
        if not (others and ":" in address and error.errno in _NO_IPV6):
            raise


def _bind_one(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = socket.create_server((address, port), family=family)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(error.errno, f"can't listen on {_netloc(address, port)}: {reason}") from error
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    return sock


def listening(sockets: Sequence[socket.socket], *, secure: bool) -> Listening:
    """Describe bound sockets."""
    scheme = "https" if secure else "http"
    host, port = sockets[0].getsockname()[:2]
    netlocs = (_netloc(_reachable(str(sock.getsockname()[0])), sock.getsockname()[1]) for sock in sockets)
    return Listening(host=host, port=port, urls=tuple(f"{scheme}://{netloc}" for netloc in netlocs))


def _reachable(address: str) -> str:
    return dict(zip(_ANY, _LOOPBACK, strict=True)).get(address, address)


def _netloc(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ssl_context(tls: Tls) -> ssl.SSLContext | None:
    """Give the context for HTTPS where certificate and key are set."""
    if not (tls.cert and tls.key):
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:  # which an unreadable certificate is, too
        raise ConfigError(f"tls: {tls.cert} with {tls.key} can't be used: {error.strerror or error}") from error
    return context


@contextmanager
def stopped_by_signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """Set ``stop`` at the first SIGINT or SIGTERM, ``hurry`` at the second; a third has its usual effect."""

    def on_signal() -> None:
        if stop.is_set():
            hurry.set()
            _remove_handlers(*_SIGNALS)
        stop.set()

    with _handling(*_SIGNALS, on_signal=on_signal):
        yield


@contextmanager
def _handling(*numbers: signal.Signals, on_signal: Callable[[], None]) -> Iterator[None]:
    """Call ``on_signal`` at these signals, which may be impossible: outside the main thread, or on another platform."""
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        _remove_handlers(*numbers)


def _remove_handlers(*numbers: signal.Signals) -> None:
    """Give the signals their usual effect again; where none could be caught there is nothing to do."""
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in numbers:
            asyncio.get_running_loop().remove_signal_handler(number)


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """Log in a line a minute that nothing can be accepted: asyncio would, at once, for each place in the backlog."""
    loop, before, quiet_until = asyncio.get_running_loop(), asyncio.get_running_loop().get_exception_handler(), 0.0

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal quiet_until
        failure = context.get("exception")
        if "socket" in context and isinstance(failure, OSError) and failure.errno in _NOTHING_LEFT:
            if loop.time() >= quiet_until:
                quiet_until = loop.time() + _QUIET_SECONDS
                log.error("no connection can be accepted now: %s", failure.strerror)
        elif before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


@contextmanager
def told_by_hangup(again: Callable[[], None], stop: asyncio.Event) -> Iterator[None]:
    """Call ``again`` at SIGHUP, as services do; where it means that our terminal is gone, set ``stop``.

    Who was started to ignore the signal (``nohup``) goes on doing so.
    """
    in_terminal = _has_terminal()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        yield
        return

    def on_signal() -> None:
        if in_terminal and not _has_terminal():
            stop.set()
        else:
            again()

    with _handling(signal.SIGHUP, on_signal=on_signal):
        yield


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
