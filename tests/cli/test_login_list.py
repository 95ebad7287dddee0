"""What ``login --list`` shows: names, never keys, whether they can be had, and who is signed in."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from keyrings_used import Hanging, Locked, file_keyring, using
from rich.console import Console

from claude_proxy.cli.key_index import KeyIndex, index_path
from claude_proxy.cli.login_list import Kept, kept_keys, rendered, show
from claude_proxy.cli.sign_in import SignIn
from claude_proxy.errors import ConfigError
from claude_proxy.system_keyring import SystemKeyring

__all__ = ["file_keyring"]

ADDED = datetime(2026, 11, 25, 12, tzinfo=UTC)
NAMES = {"a": ADDED, "b": ADDED}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home where two keys were stored, and the CLI isn't used."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in NAMES:
        KeyIndex(index_path()).add(name, ADDED)
    (tmp_path / "config.yaml").write_text("claude-cli: {enabled: false}\napi-keys: [keyring:nowhere]\n")
    return tmp_path


def test_what_the_keyring_still_has_is_told(file_keyring: SystemKeyring) -> None:
    """A key that another tool took out is told, with what to do."""
    file_keyring.keep("a", "sk-hidden")

    assert list(kept_keys(NAMES, file_keyring)) == [
        Kept("a", ADDED, in_keyring=True),
        Kept("b", ADDED, in_keyring=False, problem="no longer there: run `claude-proxy login b --api-key`"),
    ]


def test_a_keyring_that_can_not_be_read_is_no_reason_not_to_answer() -> None:
    """Nobody knows then; one that hangs is waited for once."""
    with using(Locked()):
        locked = [key.problem for key in kept_keys(NAMES, SystemKeyring())]
    with using(Hanging()):
        hanging = list(kept_keys(NAMES, SystemKeyring(0.05)))

    assert locked == ["the keyring says KeyringLocked"] * 2
    assert [key.problem for key in hanging] == [
        "the keyring doesn't answer within 0.05 s",
        "the keyring doesn't answer",
    ]
    assert [key.in_keyring for key in hanging] == [None, None]


def test_json_is_a_list_without_secrets(
    home: Path, file_keyring: SystemKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client's key that isn't there doesn't matter for it."""
    file_keyring.keep("a", "sk-hidden")
    show(home / "config.yaml", as_json=True)
    out, err = capsys.readouterr()
    found = msgspec.json.decode(out)

    assert err == ""
    assert "hidden" not in out
    assert [(one["kind"], one["name"], one["reference"], one["in_keyring"]) for one in found] == [
        ("api-key", "a", "keyring:a", True),
        ("api-key", "b", "keyring:b", False),
    ]
    assert found[0]["added"] == "2026-11-25T12:00:00Z"


def test_a_secret_that_decides_who_is_signed_in_is_needed(home: Path, file_keyring: SystemKeyring) -> None:
    """Without it the answer would be about somebody else."""
    (home / "config.yaml").write_text("claude-cli: {env: {ANTHROPIC_API_KEY: keyring:gone}}\n")
    with pytest.raises(ConfigError, match=r"^claude-cli\.env: keyring:gone leads nowhere"):
        show(home / "config.yaml", as_json=False)


def drawn(kept: list[Kept], signed_in: list[SignIn]) -> str:
    """Give what 80 columns show."""
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(rendered(kept, signed_in))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def test_the_screen_shows_keys_and_sign_ins() -> None:
    """What is wrong is said in its line."""
    kept = [Kept("console", ADDED, in_keyring=True), Kept("b", ADDED, None, "the keyring doesn't answer")]
    signed_in = [SignIn("", "me@example.test (max)", "claude CLI 9.9.9"), SignIn("work", None, "not signed in")]

    assert drawn(kept, signed_in) == (
        "API keys\n"
        "  keyring:console  2026-11-25  in the keyring\n"
        "  keyring:b        2026-11-25  the keyring doesn't answer\n"
        "\n"
        "Sign-ins\n"
        "  claude  me@example.test (max)\n"
        "  work    not signed in"
    )


def test_an_empty_screen_says_how_to_begin() -> None:
    """For keys, and for the CLI where it is switched off."""
    assert drawn([], []) == (
        "API keys\n"
        "  none: `claude-proxy login NAME --api-key` stores one\n"
        "\n"
        "Sign-ins\n"
        "  none: `claude-cli.enabled` is false"
    )
