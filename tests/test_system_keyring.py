"""Our entries in a real keyring, and keyrings that can't be used."""

import subprocess
import sys

import keyring
import pytest
from keyring.backends.null import Keyring as NullKeyring
from keyrings_used import Locked, file_keyring, no_keyring, using

from claude_proxy.system_keyring import SERVICE, KeyringFailed, NoKeyring, SystemKeyring

__all__ = ["file_keyring", "no_keyring"]


def test_a_secret_comes_back(file_keyring: SystemKeyring) -> None:
    """It is in the keyring under our service's name, and a second one takes its place."""
    file_keyring.check()
    assert file_keyring.read("console") is None
    file_keyring.keep("console", "sk-abc")
    file_keyring.keep("console", "sk-def")

    assert file_keyring.read("console") == keyring.get_password(SERVICE, "console") == "sk-def"


def test_an_entry_is_removed_once(file_keyring: SystemKeyring) -> None:
    """Whether there was one is told."""
    file_keyring.keep("console", "sk-abc")

    assert [file_keyring.remove("console"), file_keyring.remove("console")] == [True, False]


@pytest.mark.parametrize("call", ["check", "read", "remove"])
def test_no_keyring_is_told_by_each_call(no_keyring: None, call: str) -> None:
    """Before anybody is asked for a key."""
    with pytest.raises(NoKeyring, match=r"^this machine has no keyring$"):
        getattr(SystemKeyring(), call)(*([] if call == "check" else ["console"]))


def test_a_keyring_that_was_switched_off_is_none() -> None:
    """It would take a secret and forget it."""
    with using(NullKeyring()), pytest.raises(NoKeyring):  # type: ignore[no-untyped-call]  # keyring says no types
        SystemKeyring().keep("console", "sk-abc")


def test_a_refusal_holds_no_secret() -> None:
    """Whatever the keyring's own text holds."""
    with using(Locked()), pytest.raises(KeyringFailed) as caught:
        SystemKeyring().keep("console", "sk-abc")

    assert str(caught.value) == "the keyring says KeyringLocked"


def test_a_keyring_that_hangs_is_left_behind_also_at_exit() -> None:
    """The process ends while the keyring still doesn't answer; one that can't be loaded by its name is none."""
    program = """
import keyring
from keyrings_used import Hanging
from claude_proxy.system_keyring import KeyringFailed, NoKeyring, SystemKeyring
try:
    SystemKeyring().check()
except NoKeyring as error:
    print(error)
keyring.set_keyring(Hanging())
mine = SystemKeyring(0.05)
for _ in range(2):
    try:
        mine.read("console")
    except KeyringFailed as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHON_KEYRING_BACKEND": "nowhere.Keyring"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout.splitlines() == [
        "this machine's keyring can't be used (No module named 'nowhere')",
        "the keyring doesn't answer within 0.05 s",
        "the keyring doesn't answer",
    ]
