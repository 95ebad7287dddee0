"""Keeping an API key: what is asked, kept, said and refused. The keyring is a real one, in a file."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from keyrings_used import Locked, file_keyring, no_keyring, using
from raw_upstreams import free_port, listening, saying

from claude_proxy.cli.key_index import KeyIndex, index_path
from claude_proxy.cli.login_key import keep_key
from claude_proxy.cli.login_list import take_out
from claude_proxy.cli.login_usage import WrongUsage
from claude_proxy.errors import ConfigError, NotFound, ProxyError
from claude_proxy.simulator import Simulator
from claude_proxy.system_keyring import SystemKeyring

__all__ = ["file_keyring", "no_keyring"]

KEY = "sk-ant-api03-hidden"
Output = pytest.CaptureFixture[str]


class Machine:
    """A home of its own, and what is piped in."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.config = home / "config.yaml"
        self.config.write_text("")
        self._patch = patch
        for name, value in {"HOME": home, "XDG_DATA_HOME": home / "data", "XDG_CONFIG_HOME": home / "cfg"}.items():
            patch.setenv(name, str(value))

    def keep(self, name: str = "console", given: str = KEY, *, with_check: bool = True) -> None:
        """Run the command with a key on its standard input."""
        self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        keep_key(self.config, name, from_stdin=True, with_check=with_check)

    def entry(self, base_url: str) -> None:
        """Write an entry that refers to the key."""
        self.config.write_text(f"claude-api-key: [{{api-key: keyring:console, base-url: '{base_url}'}}]\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Give a machine on which nothing was done yet."""
    return Machine(tmp_path, monkeypatch)


def kept() -> list[str]:
    """Give the names in the list."""
    return list(KeyIndex(index_path()).read())


async def test_a_key_that_is_taken_is_kept(machine: Machine, file_keyring: SystemKeyring, capsys: Output) -> None:
    """It is never shown; the entry that uses it is named."""
    async with Simulator() as simulator:
        machine.entry(simulator.base_url)
        await asyncio.to_thread(machine.keep, given=f"  {KEY}\n")

    assert (file_keyring.read("console"), kept()) == (KEY, ["console"])
    out, err = capsys.readouterr()
    assert out == (
        "127.0.0.1 takes the key. Kept in the system's keyring as keyring:console.\n"
        "~/config.yaml uses it: claude-api-key[0].api-key.\n"
    )
    assert err == ""


async def test_a_key_that_is_refused_is_not_kept(machine: Machine, file_keyring: SystemKeyring) -> None:
    """What was there before stays."""
    file_keyring.keep("console", "sk-before")
    body = b'{"error": {"message": "invalid x-api-key"}}'
    async with listening(saying(b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))) as port:
        machine.entry(f"http://127.0.0.1:{port}")
        with pytest.raises(ProxyError) as caught:
            await asyncio.to_thread(machine.keep)

    assert caught.value.message == (
        "127.0.0.1 refuses the key: invalid x-api-key. Nothing was kept; with --no-check it would be, without asking"
    )
    assert (file_keyring.read("console"), kept()) == ("sk-before", [])


def test_a_key_that_can_not_be_checked_is_kept(machine: Machine, file_keyring: SystemKeyring, capsys: Output) -> None:
    """It may be right, and the network is not there: who sets up a machine doesn't want to type it again."""
    machine.entry(f"http://127.0.0.1:{free_port()}")
    machine.keep()
    out, err = capsys.readouterr()

    assert file_keyring.read("console") == KEY
    assert out.startswith("Kept in the system's keyring as keyring:console.\n")
    assert err.startswith("note: the key couldn't be checked: 127.0.0.1 can't be reached: ")
    assert err.count("\n") == 1


def test_no_check_asks_nobody(machine: Machine, file_keyring: SystemKeyring, capsys: Output) -> None:
    """What to paste is said: an entry for Anthropic, as the key begins like one of theirs."""
    machine.keep(with_check=False)
    out, err = capsys.readouterr()

    assert file_keyring.read("console") == KEY
    assert out == (
        "Kept in the system's keyring as keyring:console.\n"
        "Put this into ~/config.yaml:\n\n"
        "claude-api-key:\n  - api-key: keyring:console\n"
    )
    assert err == ""


def test_a_key_of_somebody_else_is_sent_to_nobody(
    machine: Machine, file_keyring: SystemKeyring, capsys: Output
) -> None:
    """Whose it is, only its entry can say; what to paste is for an upstream like OpenAI."""
    machine.keep("openrouter", "sk-or-hidden")
    out, err = capsys.readouterr()

    assert err == (
        "note: the key couldn't be checked: "
        "whose it is can't be seen from it, and no entry of config.yaml refers to it yet\n"
    )
    assert "openai-compatibility:\n  - name: openrouter\n" in out
    assert out.endswith("      - api-key: keyring:openrouter\n")


def test_a_key_for_clients_is_no_upstreams(machine: Machine, file_keyring: SystemKeyring, capsys: Output) -> None:
    """There is nothing to check; that it isn't there yet is no reason to refuse the file."""
    machine.config.write_text("api-keys: [keyring:mine]\n")
    machine.keep("mine", "correct-horse")

    assert capsys.readouterr() == (
        "Kept in the system's keyring as keyring:mine.\n~/config.yaml uses it: api-keys[0].\n",
        "",
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "it is empty"),
        ("one\ntwo", "it holds characters"),
        ("k\N{LATIN SMALL LETTER E WITH ACUTE}y", "it holds characters"),
        ("sk-ant-oat01-hidden", "it is a subscription's token"),
    ],
)
def test_what_is_no_key_is_wrong_usage(machine: Machine, file_keyring: SystemKeyring, given: str, why: str) -> None:
    """A subscription's token above all: only the CLI may have it."""
    with pytest.raises(WrongUsage, match=f"^This is no API key: {why}"):
        machine.keep(given=given)
    assert kept() == []


def test_without_a_terminal_the_key_is_piped_in(
    machine: Machine, file_keyring: SystemKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be echoed where there is nothing to ask on."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(KEY.encode())))
    with pytest.raises(WrongUsage, match="with --key-stdin"):
        keep_key(machine.config, "console", from_stdin=False, with_check=False)


def test_a_machine_without_a_keyring_has_another_way(machine: Machine, no_keyring: None) -> None:
    """Said before the key is asked for."""
    with pytest.raises(ProxyError) as caught:
        machine.keep("my-key", given="")

    assert caught.value.message == (
        "this machine has no keyring, so nothing was kept. Put the key into an environment variable "
        "(`export MY_KEY=…`), and env:MY_KEY into config.yaml in the place of keyring:my-key"
    )


def test_a_locked_keyring_keeps_nothing(machine: Machine) -> None:
    """It isn't noted as kept, and the error doesn't hold it."""
    with using(Locked()), pytest.raises(ProxyError) as caught:
        machine.keep(with_check=False)

    assert caught.value.message == (
        "the keyring says KeyringLocked, so nothing was kept. Unlock it and try again, or put the key into an "
        "environment variable (`export CONSOLE_API_KEY=…`), and env:CONSOLE_API_KEY into config.yaml in the place of "
        "keyring:console"
    )
    assert kept() == []


def test_a_broken_configuration_is_told_before_the_key_is_asked_for(machine: Machine, no_keyring: None) -> None:
    """Nobody has to find the key twice."""
    machine.config.write_text("prot: 1\n")
    with pytest.raises(ConfigError, match="prot"):
        machine.keep(given="")


def test_a_key_is_taken_out(machine: Machine, file_keyring: SystemKeyring, capsys: Output) -> None:
    """Out of the keyring and off the list."""
    machine.keep(with_check=False)
    capsys.readouterr()
    take_out("console")

    assert (file_keyring.read("console"), kept()) == (None, [])
    assert capsys.readouterr() == ("console is out of the keyring.\n", "")


def test_a_key_that_another_tool_has_taken_out(machine: Machine, file_keyring: SystemKeyring, capsys: Output) -> None:
    """Its name goes off the list."""
    machine.keep(with_check=False)
    file_keyring.remove("console")
    capsys.readouterr()
    take_out("console")

    assert kept() == []
    assert capsys.readouterr().out == "console was in the keyring no more, and is off the list.\n"


def test_a_key_that_another_tool_has_stored_can_be_taken_out(machine: Machine, file_keyring: SystemKeyring) -> None:
    """It has our service's name, so it is ours."""
    file_keyring.keep("old", KEY)
    take_out("old")

    assert file_keyring.read("old") is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nope", "there is no key 'nope'; known: console"),
        ("claude", "the sign-in is the CLI's own: `claude auth logout` ends it"),
    ],
)
def test_a_key_that_is_not_there_can_not_be_taken_out(
    machine: Machine, file_keyring: SystemKeyring, name: str, why: str
) -> None:
    """The message names what there is."""
    machine.keep(with_check=False)
    with pytest.raises(NotFound) as caught:
        take_out(name)

    assert caught.value.message == why


def test_nothing_is_taken_out_of_a_keyring_that_is_locked(machine: Machine, file_keyring: SystemKeyring) -> None:
    """Its name stays on the list."""
    machine.keep(with_check=False)
    with using(Locked()), pytest.raises(ProxyError, match="console can't be taken out: the keyring says KeyringLocked"):
        take_out("console")
    assert kept() == ["console"]
