"""Real keyrings for tests: one in a file, none at all, and the ones that nobody wants to have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked
from keyrings.alt.file import PlaintextKeyring

from claude_proxy.system_keyring import SystemKeyring


@contextmanager
def using(backend: KeyringBackend) -> Iterator[None]:
    """Put a keyring in the place of the system's."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)
        if isinstance(backend, Hanging):
            backend.end.set()


@pytest.fixture
def file_keyring(tmp_path: Path) -> Iterator[SystemKeyring]:
    """Give a keyring in a file."""
    mine = PlaintextKeyring()
    mine.file_path = str(tmp_path / "keyring.cfg")
    with using(mine):
        yield SystemKeyring()


@pytest.fixture
def no_keyring() -> Iterator[None]:
    """Be a machine without any keyring."""
    with using(NoKeyring()):  # type: ignore[no-untyped-call]  # keyring says no types
        yield


class Unwanted(KeyringBackend):
    """What the keyrings below have in common."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above

    def set_password(self, service: str, username: str, password: str) -> None:
        """Refuse, with a text that holds what it was given."""
        raise KeyringLocked(f"{service} {username} {password}")


class Locked(Unwanted):
    """A keyring whose owner doesn't unlock it."""

    def get_password(self, service: str, username: str) -> str | None:
        """Refuse."""
        raise KeyringLocked(f"{service} {username}")


class Hanging(Unwanted):
    """A keyring behind a bus that doesn't answer, until ``end`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.end = threading.Event()
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        """Wait for nothing."""
        self.asked.append(username)
        self.end.wait()
        return None
