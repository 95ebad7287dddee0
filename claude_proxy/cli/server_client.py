"""Finds the running server by its configuration, and asks it. A failure is one line that says what to do."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from claude_proxy.config.schema import Config
from claude_proxy.errors import ConfigError, NotFound, NotSignedIn, ProxyError, Unauthorized, Unavailable, from_status

_SECONDS = 10.0
_OK = 200
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (names that a server listens at)
"""Where a server that listens at every address is asked."""


class NoServer(Unavailable):
    """No claude-proxy answers at the address."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is asked: ``key`` is one of its ``api-keys``, ``certificate`` its own where it speaks HTTPS."""

    host: str
    port: int
    key: str = field(default="", repr=False)
    certificate: str = ""

    @property
    def url(self) -> str:
        """The address as clients write it."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def place(config: Config, *, host: str | None = None, port: int | None = None) -> Place:
    """Say where the server of a configuration is; ``host`` and ``port`` are what the command line says instead."""
    name = (config.host if host is None else host).strip("[]")
    number = config.port if port is None else port
    if number == 0:
        raise ConfigError("port 0 stands for any free one: name the server's own with --port")
    key = config.api_keys[0] if config.api_keys else ""
    certificate = config.tls.cert if config.tls.key else ""
    return Place(_LOOPBACK.get(name, name), number, key, certificate)


def ask(where: Place, path: str, *, seconds: float = _SECONDS) -> Any:
    """Get what the server has at ``path``.

    Raises ``NoServer`` where none answers, another ``ProxyError`` where it does and refuses. No proxy of the
    environment stands between.
    """
    connection = _connect(where, seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {where.key}"} if where.key else {})
        answer = connection.getresponse()
        if answer.headers.get("Server") != "claude-proxy":
            raise _something_else(where)
        return _read(where, path, answer.status, answer.read())
    except TimeoutError as error:
        raise NoServer(f"{where.url} doesn't answer within {seconds:g} s: look at its log, or restart it") from error
    except ConnectionError as error:
        raise NoServer(
            f"{where.url} closes the connection without an answer: it is stopping, wants HTTPS, or isn't claude-proxy"
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise _something_else(where) from error
    finally:
        connection.close()


def _connect(where: Place, seconds: float) -> http.client.HTTPConnection:
    context = _ssl_context(where)
    if context is None:
        connection = http.client.HTTPConnection(where.host, where.port, timeout=seconds)
    else:
        connection = http.client.HTTPSConnection(where.host, where.port, timeout=seconds, context=context)
    try:
        connection.connect()
    except ConnectionRefusedError as error:
        raise NoServer(f"no server at {where.url}: start it with `claude-proxy serve`") from error
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message.rstrip(".")
        raise NoServer(
            f"{where.url} shows another certificate than {where.certificate} ({reason}): restart the server, "
            "or correct `tls`"
        ) from error
    except ssl.SSLError as error:
        raise NoServer(
            f"what listens at {where.url} doesn't speak HTTPS, as `tls` says it should: restart it"
        ) from error
    except socket.gaierror as error:
        raise NoServer(
            f"the host {where.host!r} isn't known: correct --host, or `host` in the configuration"
        ) from error
    except OSError as error:
        raise NoServer(f"{where.url} can't be reached: {error.strerror or error}") from error
    return connection


def _ssl_context(where: Place) -> ssl.SSLContext | None:
    """Trust the server's own certificate and nothing else, whatever name is on it: it is known from its file."""
    if not where.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(where.certificate)
    except OSError as error:  # which an unreadable certificate is, too
        raise ConfigError(f"tls: {where.certificate} can't be used: {error.strerror or error}") from error
    return context


def _something_else(where: Place) -> NoServer:
    return NoServer(
        f"something else than claude-proxy listens at {where.url}: stop it, or choose another port with --port"
    )


def _read(where: Place, path: str, status: int, body: bytes) -> Any:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProxyError(f"the answer of {where.url}{path} isn't JSON") from error
    if status == _OK:
        return found
    said = found.get("error") if isinstance(found, dict) else None
    raise _refusal(where, path, status, said if isinstance(said, dict) else {})


def _refusal(where: Place, path: str, status: int, error: Mapping[str, Any]) -> ProxyError:
    message = str(error.get("message") or f"the server at {where.url} answers with status {status}")
    if error.get("code") == NotSignedIn.code:
        return NotSignedIn(message)
    if status == Unauthorized.status:
        own = (
            "refuses the first of the configuration's `api-keys`"
            if where.key
            else "wants a key, and `api-keys` is empty"
        )
        return Unauthorized(f"the server at {where.url} {own}: name the file that it runs on with --config")
    if status == NotFound.status:
        return NotFound(f"the server at {where.url} is of a version that has no {path}: restart it")
    return from_status(status, message)
