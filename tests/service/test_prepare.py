"""From a configuration to what is to run: what isn't seen in the command's own output."""

from pathlib import Path

import pytest

from claude_proxy.errors import ConfigError
from claude_proxy.service.prepare import Prepared, prepare


def prepared(home: Path, text: str, **environ: str) -> Prepared:
    """Prepare a service with a configuration."""
    config = home / "my config.yaml"
    config.write_text(text)
    return prepare("systemd", config, environ, home, home)


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("port: 1", ("127.0.0.1", 1), "http://127.0.0.1:1"),
        ("{host: localhost, port: 1}", ("localhost", 1), "http://localhost:1"),
        ("{host: '0.0.0.0', port: 1, api-keys: [k]}", ("127.0.0.1", 1), "http://127.0.0.1:1"),
        ("{host: '', port: 1, api-keys: [k]}", ("127.0.0.1", 1), "http://127.0.0.1:1"),
        ("{host: '::', port: 1, api-keys: [k]}", ("::1", 1), "http://[::1]:1"),
        ("{host: '[::1]', port: 1}", ("::1", 1), "http://[::1]:1"),
        ("{port: 1, tls: {cert: /c, key: /k}}", ("127.0.0.1", 1), "https://127.0.0.1:1"),
        ("port: 0", None, ""),
    ],
)
def test_where_it_will_be_reached(tmp_path: Path, text: str, address: tuple[str, int] | None, url: str) -> None:
    """From this machine; nobody knows before where port 0 is."""
    found = prepared(tmp_path, text)

    assert (found.address, found.url) == (address, url)


def test_a_file_that_is_named_is_named_to_the_service_too(tmp_path: Path) -> None:
    """And then the variable has nothing to say."""
    found = prepared(tmp_path, "", CLAUDE_PROXY_CONFIG="/other.yaml")

    assert found.service.command[3:] == ("claude_proxy", "--config", str(tmp_path / "my config.yaml"), "serve")
    assert found.service.environment == {"HOME": str(tmp_path)}


def test_a_profiles_folder_stays_writable(tmp_path: Path) -> None:
    """The CLI keeps that sign-in there."""
    found = prepared(tmp_path, "claude-cli: {profiles: {work: {config-dir: /data/work}}}")

    assert found.service.places == ("/data/work",)


def test_what_the_configuration_warns_of_is_told(tmp_path: Path) -> None:
    """In the log nobody would look for it."""
    found = prepared(tmp_path, "claude-api-key: [{api-key: env:NOT_SET}]")

    warning, note = found.notes
    assert "switched off: env:NOT_SET leads nowhere" in warning
    assert note.startswith("the service won't see NOT_SET of this shell: write NOT_SET=… into ")


@pytest.mark.parametrize("key", ["claude-cli: {path: bin/claude}", "tls: {cert: /c, key: k.pem}"])
def test_a_path_that_only_this_folder_knows_is_refused(tmp_path: Path, key: str) -> None:
    """A service runs elsewhere."""
    with pytest.raises(ConfigError, match="a service runs in another folder: write an absolute path"):
        prepared(tmp_path, key)
