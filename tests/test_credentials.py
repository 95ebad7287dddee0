"""References to secrets, with a real keyring in a file."""

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as NullKeyring
from keyring.errors import KeyringLocked
from keyrings.alt.file import PlaintextKeyring

from claude_proxy.credentials import SERVICE, Secret, Unresolved, resolve


@pytest.fixture
def file_keyring(tmp_path: Path) -> Iterator[PlaintextKeyring]:
    """Put a keyring in a file in the place of the system's."""
    before = keyring.get_keyring()
    mine = PlaintextKeyring()
    mine.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture
def no_keyring() -> Iterator[None]:
    """Be a machine without any keyring."""
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]  # keyring says no types
    yield
    keyring.set_keyring(before)


class LockedKeyring(NullKeyring):
    """A keyring whose owner doesn't unlock it."""

    def get_password(self, service: str, username: str, password: str | None = None) -> str:
        """Refuse."""
        raise KeyringLocked(f"{service} {username}")


def test_what_is_no_reference_stands_for_itself() -> None:
    """A key may be written in the file."""
    assert [resolve(value, {}) for value in ("sk-abc", "", "env:", "env:a b", "keyring:", "env")] == [
        "sk-abc",
        "",
        "env:",
        "env:a b",
        "keyring:",
        "env",
    ]


def test_an_environment_variable_is_read() -> None:
    """``env:NAME``."""
    assert resolve("env:MY_KEY", {"MY_KEY": "sk-abc"}) == "sk-abc"


@pytest.mark.parametrize("environ", [{}, {"MY_KEY": ""}])
def test_a_variable_that_is_not_set_is_told(environ: dict[str, str]) -> None:
    """An empty variable is as good as none."""
    with pytest.raises(Unresolved, match=r"^env:MY_KEY leads nowhere: set the environment variable MY_KEY$"):
        resolve("env:MY_KEY", environ)


def test_the_keyring_is_read(file_keyring: PlaintextKeyring) -> None:
    """``keyring:NAME`` is what our service has stored under the name."""
    keyring.set_password(SERVICE, "console", "sk-abc")

    assert resolve("keyring:console") == "sk-abc"


def test_an_entry_that_is_not_in_the_keyring_is_told(file_keyring: PlaintextKeyring) -> None:
    """The message says how to store it."""
    with pytest.raises(Unresolved) as caught:
        resolve("keyring:console")

    assert str(caught.value) == "keyring:console leads nowhere: store it with `keyring set claude-proxy console`"


def test_a_machine_without_a_keyring_is_told(no_keyring: None) -> None:
    """The message says what works everywhere."""
    with pytest.raises(Unresolved) as caught:
        resolve("keyring:console")

    assert str(caught.value) == (
        "keyring:console can't be read, the keyring says NoKeyringError: unlock it, or use env:NAME instead"
    )


def test_a_locked_keyring_is_told(file_keyring: PlaintextKeyring) -> None:
    """Nothing waits for it, and nothing fails with a traceback."""
    keyring.set_keyring(LockedKeyring())  # type: ignore[no-untyped-call]  # as above

    with pytest.raises(Unresolved, match="KeyringLocked: unlock it"):
        resolve("keyring:console")


def test_a_resolved_secret_does_not_show() -> None:
    """What holds it can be logged; what needs it gets it."""
    secret = resolve("env:MY_KEY", {"MY_KEY": "sk-abc"})

    assert (repr(secret), repr([Secret("x")])) == ("'***'", "['***']")
    assert f"Bearer {secret}" == "Bearer sk-abc"
