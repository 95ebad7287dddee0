"""What no configuration may ask for."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_proxy.config.load import load
from claude_proxy.config.safety import is_loopback
from claude_proxy.errors import ConfigError

REFUSED = {
    "half of TLS": ("tls: {cert: a.pem}", "tls: `key` is missing: HTTPS needs both `cert` and `key`"),
    "other half of TLS": ("tls: {key: a.pem}", "tls: `cert` is missing: HTTPS needs both `cert` and `key`"),
    "empty key": ('api-keys: [a, " "]', "api-keys[1]: is empty, so anybody could guess it"),
    "gateway without its own key": (
        "claude-cli: {base-url: 'https://gateway.example'}",
        (
            "claude-cli.base-url: gateway.example would be sent your Claude sign-in; put that gateway's own key in "
            "`claude-cli.env` as ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"
        ),
    ),
    "gateway with an empty key": (
        "claude-cli: {base-url: 'https://gateway.example', env: {ANTHROPIC_API_KEY: ''}}",
        (
            "claude-cli.base-url: gateway.example would be sent your Claude sign-in; put that gateway's own key in "
            "`claude-cli.env` as ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"
        ),
    ),
    "gateway by the back door": (
        "claude-cli: {env: {ANTHROPIC_BASE_URL: 'https://gateway.example', ANTHROPIC_API_KEY: k}}",
        "claude-cli.env.ANTHROPIC_BASE_URL: set `claude-cli.base-url` instead",
    ),
    "gateway that is no URL": (
        "claude-cli: {base-url: gateway}",
        "claude-cli.base-url: expected a URL like https://gateway.example",
    ),
    "proxy that is no URL": (
        "proxy-url: localhost:8080",
        "proxy-url: expected a URL that begins with http:// or https:// or socks5:// or socks5h://",
    ),
    "broken URL": (
        "claude-api-key: [{api-key: k, base-url: 'http://[::1'}]",
        "claude-api-key[0].base-url: expected a URL that begins with http:// or https://",
    ),
    "upstream that is no URL": (
        "openai-compatibility: [{name: a, base-url: ftp://a}]",
        "openai-compatibility[0].base-url: expected a URL that begins with http:// or https://",
    ),
    "any origin": (
        "cors-origins: ['*']",
        "cors-origins[0]: name each origin: `*` would let any web page spend your plan",
    ),
    "origin with a path": (
        "cors-origins: ['https://app.example/chat']",
        "cors-origins[0]: expected an origin like https://app.example, without a path",
    ),
    "a backend twice": ("routing: {prefer: [claude-cli, claude-cli]}", "routing.prefer: names a backend twice"),
    "profile with a slash": (
        "claude-cli: {profiles: {a/b: {config-dir: x}}}",
        "claude-cli.profiles.a/b: a profile's name may hold letters, digits, `_`, `.` and `-`",
    ),
}

ALLOWED = (
    "host: 0.0.0.0\napi-keys: [a]",
    "host: localhost",
    "host: ::1",
    "tls: {cert: a, key: b}",
    "claude-cli: {base-url: 'http://127.0.0.1:4000'}",
    "claude-cli: {base-url: 'https://gateway.example', env: {ANTHROPIC_AUTH_TOKEN: k}}",
    "cors-origins: ['https://app.example', 'app://obsidian.md', 'http://localhost:3000/']",
    "proxy-url: socks5://user:password@proxy.example:1080",
    "proxy-url: direct",
    "claude-api-key: [{api-key: k, proxy-url: None}]",
)


Write = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Give a function that writes a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_unsafe_or_makes_no_sense_is_refused(file: Write, text: str, message: str) -> None:
    """Each check says which key, and what to do."""
    path = file(text)

    with pytest.raises(ConfigError) as caught:
        load(path, environ={})

    where, _, said = str(caught.value).partition(": ")
    assert said == message
    assert re.fullmatch(rf"{re.escape(str(path))}:1:\d+", where)


@pytest.mark.parametrize("text", ALLOWED)
def test_what_is_safe_is_taken(file: Write, text: str) -> None:
    """No check is stricter than it must be."""
    assert [line for line in load(file(text), environ={}).warnings if "has no effect" not in line] == []


@pytest.mark.parametrize(("host", "what"), [("0.0.0.0", '"0.0.0.0"'), ("''", "empty (all interfaces)")])
def test_a_reachable_host_without_keys_gets_a_fresh_key_to_paste(file: Write, host: str, what: str) -> None:
    """The refusal holds the line that mends it, with another key each time."""
    path = file(f"port: 1\nhost: {host}\n")
    found = set()
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            load(path, environ={})
        start, _, line = str(caught.value).partition("file: ")
        assert start == (
            f"{path}:2:1: host: {what} lets other machines in, so clients need a key; add this fresh one to the "
        )
        assert re.fullmatch(r'api-keys: \["cp-[A-Za-z0-9_-]{32}"\]', line)
        found.add(line)

    assert len(found) == 2
    assert load(file(f"host: {host}\n{found.pop()}\n"), environ={}).config.api_keys[0].startswith("cp-")


def test_a_host_of_the_command_line_is_checked_too() -> None:
    """``--host`` can't open what the file may not."""
    with pytest.raises(ConfigError, match=r'^command line: host: "192\.0\.2\.1" lets other machines in'):
        load(None, overrides={"host": "192.0.2.1"})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.10", "::1", "[::1]"])
def test_loopback_is_what_only_this_machine_can_reach(host: str) -> None:
    """However it is written."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.1.2", "localhost.example", "my-machine"])
def test_what_could_be_anything_is_not_loopback(host: str) -> None:
    """All interfaces, other addresses, and names that somebody resolves."""
    assert not is_loopback(host)
