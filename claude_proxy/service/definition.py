"""What is to run as a service, before it becomes a unit or a property list. Pure.

A service starts without the terminal's environment and in another folder. So every path here is absolute, and what the
server needs of the environment is carried along, except secrets: a unit is a plain file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from claude_proxy.errors import ConfigError

MARK = "Written by `claude-proxy install-service`, which writes over changes."
"""Stands in each file of ours, so that we never write over anybody else's."""

SIGN_IN = "CLAUDE_CODE_OAUTH_TOKEN"
"""Signs the CLI in where it is set: a secret of the CLI's own."""

_PLACES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "CLAUDE_CONFIG_DIR")
_FILES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "CLAUDE_PROXY_CONFIG")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_WORDS = ("HOME", "PATH", "LANG", "TZ", "NO_PROXY", "PYTHON_KEYRING_BACKEND")
_SHARED_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  (nothing is written there)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is to run, with what, and where it may write."""

    command: tuple[str, ...]
    """The first one is an absolute path."""
    environment: Mapping[str, str]
    home: str
    secrets_file: str
    """Lines ``NAME=value`` of the user's own, which nobody has to write. Only systemd reads it."""
    log_file: str
    """Where stdout and stderr go. Only launchd needs one."""
    places: Sequence[str] = ()
    """Folders that the server writes to, wherever they are."""
    stop_seconds: int = 30
    """How long open streams get to end."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The part of an environment that a service gets, and the names of what it needs but must not be written down."""

    environment: Mapping[str, str]
    withheld: tuple[str, ...] = ()


def carry(environ: Mapping[str, str], folder: str) -> Carried:
    """Choose what a service gets of ``environ``. A path that is relative there belongs to ``folder``."""
    kept: dict[str, str] = {}
    withheld = [SIGN_IN] if environ.get(SIGN_IN) else []
    for name, value in sorted(environ.items()):
        if not value:
            continue
        if name.upper() in _PROXIES and _has_password(value):
            withheld.append(name)
        elif name in _PLACES or name in _FILES:
            kept[name] = str(PurePosixPath(folder, value))
        elif name in _WORDS or name.upper() in (*_PROXIES, "NO_PROXY") or name.startswith("LC_"):
            kept[name] = value
    return Carried(kept, tuple(withheld))


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url if "://" in url else f"http://{url}").password)
    except ValueError:
        return "@" in url


def places(environment: Mapping[str, str], folders: Sequence[str]) -> tuple[str, ...]:
    """Give the folders that the server writes to: those that the environment names, and ``folders``."""
    named = (environment[name] for name in _PLACES if name in environment)
    return tuple(dict.fromkeys((*named, *folders)))


def writable(service: Service) -> tuple[str, ...]:
    """Give the folders to leave writable where all else is read-only: none inside another."""
    wanted = [PurePosixPath(place) for place in (service.home, *service.places)]
    if needs_shared_temporary(service):
        wanted += [PurePosixPath(place) for place in _SHARED_TEMPORARY]
    return tuple(str(place) for place in dict.fromkeys(wanted) if not any(other in place.parents for other in wanted))


def needs_shared_temporary(service: Service) -> bool:
    """Tell whether anything it needs lies in the machine's ``/tmp``, which a private one would hide."""
    used = (*service.command, *service.environment.values(), service.home, *service.places)
    return any(PurePosixPath(path).is_relative_to(place) for path in used for place in _SHARED_TEMPORARY)


@dataclass(slots=True)
class Noting(Mapping[str, str]):
    """An environment that notes what it was asked for, and so knows which ``env:`` references there are."""

    known: Mapping[str, str]
    asked: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        self.asked.append(name)
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def checked(name: str, text: str) -> str:
    """Give a text that a unit or a property list can hold; raise ``ConfigError`` for one that would break it."""
    if any(character < " " or character == "\x7f" for character in text):
        raise ConfigError(f"{name} holds a line break or another control character, which a service can't have")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{name} isn't UTF-8 text, which a service needs") from error
    return text
