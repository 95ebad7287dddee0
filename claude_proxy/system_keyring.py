"""Our entries in the operating system's keyring, which is never waited for longer than it may take.

A keyring may hang: at boot, where no session is there to unlock it, or behind a D-Bus that doesn't answer. So each call
runs in a thread of its own. When its time is up it is left behind, and keeps nobody from going on or from exiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "claude-proxy"
"""The name that our entries have in it."""

READ_SECONDS = 5.0
PERSON_SECONDS = 120.0
"""For a call that somebody may have to allow, by the keyring's own password."""

T = TypeVar("T")


class KeyringFailed(Exception):
    """The keyring didn't do what it was asked. ``str()`` says why in a few words, and never holds a secret."""


class NoKeyring(KeyringFailed):
    """There is none on this machine that could be used."""


@dataclass(slots=True)
class SystemKeyring:
    """The keyring for one purpose: a call may take ``seconds``, and after one that hung the next ones fail at once."""

    seconds: float = READ_SECONDS
    _hangs: bool = False

    def check(self) -> None:
        """Raise ``NoKeyring`` where there is none."""
        self._within(_backend)

    def read(self, name: str) -> str | None:
        """Give an entry's secret; ``None`` where there is no such entry."""
        return self._within(lambda: _backend().get_password(SERVICE, name))

    def keep(self, name: str, secret: str) -> None:
        """Put a secret in, in the place of what was there under its name."""
        self._within(lambda: _backend().set_password(SERVICE, name, secret))

    def remove(self, name: str) -> bool:
        """Take an entry out; say whether there was one."""
        if self.read(name) is None:
            return False
        self._within(lambda: _backend().delete_password(SERVICE, name))
        return True

    def _within(self, call: Callable[[], T]) -> T:
        if self._hangs:
            raise KeyringFailed("the keyring doesn't answer")
        try:
            return _in_a_thread(call).result(self.seconds)
        except TimeoutError as error:
            self._hangs = True
            raise KeyringFailed(f"the keyring doesn't answer within {self.seconds:g} s") from error
        except KeyringFailed:
            raise
        except Exception as error:  # whatever the library below a keyring raises
            # Its text could hold anything: the kind of error says enough.
            raise KeyringFailed(f"the keyring says {type(error).__name__}") from error


def _in_a_thread(call: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  (it is raised again where the answer is waited for)
            future.set_exception(error)

    threading.Thread(target=run, name="keyring", daemon=True).start()
    return future


def _backend() -> KeyringBackend:
    # Slow to import, and most configurations don't need it.
    import keyring  # noqa: PLC0415
    from keyring.backends import fail, null  # noqa: PLC0415

    try:
        found = keyring.get_keyring()
    except Exception as error:
        # One that was chosen by name and can't be had; nothing secret was said to it yet.
        raise NoKeyring(f"this machine's keyring can't be used ({error})") from error
    if isinstance(found, fail.Keyring | null.Keyring):
        raise NoKeyring("this machine has no keyring")
    return found
