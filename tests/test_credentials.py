"""References to secrets, with a real keyring in a file."""

import pytest
from keyrings_used import Hanging, Locked, file_keyring, no_keyring, using

from claude_proxy.credentials import Secret, Unresolved, flaw, is_name, resolve, resolver
from claude_proxy.system_keyring import SystemKeyring

__all__ = ["file_keyring", "no_keyring"]


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


def test_the_keyring_is_read(file_keyring: SystemKeyring) -> None:
    """``keyring:NAME`` is what our service has stored under the name."""
    file_keyring.keep("console", "sk-abc")

    assert resolve("keyring:console") == "sk-abc"


def test_an_entry_that_is_not_in_the_keyring_is_told(file_keyring: SystemKeyring) -> None:
    """The message says how to store it."""
    with pytest.raises(Unresolved) as caught:
        resolve("keyring:console")

    assert str(caught.value) == "keyring:console leads nowhere: store it with `claude-proxy login console --api-key`"


def test_a_machine_without_a_keyring_is_told(no_keyring: None) -> None:
    """The message says what works everywhere."""
    with pytest.raises(Unresolved) as caught:
        resolve("keyring:console")

    assert str(caught.value) == "keyring:console can't be read, this machine has no keyring: use env:NAME instead"


def test_a_locked_keyring_is_told() -> None:
    """Nothing waits for it, and nothing fails with a traceback."""
    with using(Locked()), pytest.raises(Unresolved) as caught:
        resolve("keyring:console")

    assert str(caught.value) == (
        "keyring:console can't be read, the keyring says KeyringLocked: unlock it, or use env:NAME instead"
    )


def test_a_keyring_that_hangs_is_waited_for_once() -> None:
    """However many entries there are, the server starts soon; other references aren't concerned."""
    hanging = Hanging()
    resolved = resolver({"MY_KEY": "sk-abc"}, SystemKeyring(seconds=0.05))
    said = []
    with using(hanging):
        for name in ("one", "two", "three"):
            with pytest.raises(Unresolved) as caught:
                resolved(f"keyring:{name}")
            said.append(str(caught.value))

    assert said == [
        "keyring:one can't be read, the keyring doesn't answer within 0.05 s: unlock it, or use env:NAME instead",
        "keyring:two can't be read, the keyring doesn't answer: unlock it, or use env:NAME instead",
        "keyring:three can't be read, the keyring doesn't answer: unlock it, or use env:NAME instead",
    ]
    assert hanging.asked == ["one"]
    assert resolved("env:MY_KEY") == "sk-abc"


def test_a_resolved_secret_does_not_show() -> None:
    """What holds it can be logged; what needs it gets it."""
    secret = resolve("env:MY_KEY", {"MY_KEY": "sk-abc"})

    assert (repr(secret), repr([Secret("x")])) == ("'***'", "['***']")
    assert f"Bearer {secret}" == "Bearer sk-abc"


def test_a_name_is_what_a_reference_can_hold() -> None:
    """Nothing is stored under a name that no configuration could refer to."""
    assert [is_name(name) for name in ("console", "my.key_2-b", "", "a b", "a\n", "a:b")] == [True, True, *[False] * 4]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "it is empty"),
        ("sk-abc def", "it holds characters that no key has"),
        ("sk-äbc", "it holds characters that no key has"),
        ("sk-abc\nsk-def", "it holds characters that no key has"),
        ("sk-ant-oat01-abc", "it is a subscription's token, which only the claude CLI may use"),
    ],
)
def test_what_is_no_api_key_is_told(key: str, why: str) -> None:
    """Without saying what it was."""
    told = flaw(key)

    assert told is not None
    assert told.startswith(why)
    assert not key or key not in told


def test_an_api_key_has_no_flaw() -> None:
    """Whoever it is for."""
    assert [flaw(key) for key in ("sk-ant-api03-abc", "gsk_abc", "x")] == [None, None, None]
