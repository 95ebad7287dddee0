"""Finding the file, reading it, and resolving what it refers to."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from claude_proxy.config import load as loading
from claude_proxy.config.load import Loaded, default_path, find, load
from claude_proxy.config.schema import Config
from claude_proxy.errors import ConfigError

Write = Callable[[str | bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Give a function that writes a configuration file."""

    def write(data: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty home, where nothing of this machine's user is found."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_a_named_file_wins_over_the_environment(file: Write, tmp_path: Path) -> None:
    """``--config`` before ``$CLAUDE_PROXY_CONFIG``."""
    path = file("")

    assert find(path, {"CLAUDE_PROXY_CONFIG": str(tmp_path / "other")}) == path


def test_the_environment_names_a_file(file: Write) -> None:
    """``$CLAUDE_PROXY_CONFIG`` is read where no option names one."""
    path = file("")

    assert find(None, {"CLAUDE_PROXY_CONFIG": str(path)}) == path


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """A typing mistake must not run the defaults."""
    path = tmp_path / "nope.yaml"

    with pytest.raises(ConfigError) as by_option:
        find(path, {})
    with pytest.raises(ConfigError) as by_environment:
        find(None, {"CLAUDE_PROXY_CONFIG": str(path)})

    assert str(by_option.value) == f"{path}: no such file, though --config names it"
    assert str(by_environment.value) == f"{path}: no such file, though CLAUDE_PROXY_CONFIG names it"


def test_without_any_file_the_defaults_run(home: Path) -> None:
    """Nobody needs a file."""
    assert find(None, {}) is None
    assert load(None) == Loaded(Config(), (), None)


def test_the_users_own_file_is_found(home: Path) -> None:
    """It is looked for where the platform keeps configuration."""
    path = default_path()
    path.parent.mkdir(parents=True)
    path.write_text("port: 1234")

    assert home in path.parents
    assert load(find(None, {})).config.port == 1234


def test_a_file_in_the_current_directory_is_not_read_unasked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the directory one happens to be in would decide."""
    (home / "config.yaml").write_text("port: 1")
    monkeypatch.chdir(home)

    assert find(None, {}) is None


def test_a_home_sign_is_understood(home: Path) -> None:
    """A service's environment has no shell to expand it."""
    (home / "mine.yaml").write_text("")

    assert find(None, {"CLAUDE_PROXY_CONFIG": "~/mine.yaml"}) == home / "mine.yaml"


def test_options_win_over_the_file(file: Write) -> None:
    """The command line is nearer than the file."""
    loaded = load(file("port: 1\nlog-format: json\n"), overrides={"port": 2})

    assert (loaded.config.port, loaded.config.log_format) == (2, "json")


def test_every_section_reaches_the_config(file: Write) -> None:
    """Keys with hyphens become attributes, in sections and lists too."""
    text = """
tls: {cert: a, key: b}
claude-cli: {tool-wait-seconds: 7, profiles: {work: {config-dir: /w}}}
claude-api-key: [{api-key: k, models: [{name: m, alias: n}], excluded-models: ["*-x"]}]
openai-compatibility: [{name: o, base-url: "http://o.example/v1", api-key-entries: [{api-key: one}]}]
"""
    config = load(file(text)).config

    assert config.tls.cert == "a"
    assert config.claude_cli.tool_wait_seconds == 7
    assert config.claude_cli.profiles["work"].config_dir == "/w"
    assert config.claude_api_key[0].models[0].alias == "n"
    assert config.claude_api_key[0].excluded_models == ("*-x",)
    assert config.openai_compatibility[0].api_key_entries[0].api_key == "one"


def test_references_are_resolved(file: Write) -> None:
    """A key can stand in the environment instead of the file."""
    text = "api-keys: [plain, 'env:CLIENT']\nclaude-cli: {env: {TOKEN: 'env:OTHER'}}"
    config = load(file(text), environ={"CLIENT": "one", "OTHER": "two"}).config

    assert config.api_keys == ("plain", "one")
    assert config.claude_cli.env == {"TOKEN": "two"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "port: 1\napi-keys:\n  - a\n  - env:GONE",
            "4:5: api-keys[1]: env:GONE leads nowhere: set the environment variable GONE",
        ),
        (
            "claude-cli:\n  env:\n    A: env:GONE",
            "3:5: claude-cli.env.A: env:GONE leads nowhere: set the environment variable GONE",
        ),
    ],
)
def test_a_client_key_that_can_not_be_resolved_is_an_error(file: Write, text: str, message: str) -> None:
    """Nobody may be locked out, or let in, by a variable that isn't set."""
    path = file(text)

    with pytest.raises(ConfigError) as caught:
        load(path, environ={})

    assert str(caught.value) == f"{path}:{message}"


def test_an_upstream_without_its_key_is_switched_off(file: Write) -> None:
    """The other entries work on, and the warning says which one and why."""
    text = """
claude-api-key:
  - api-key: env:GONE
  - api-key: here
openai-compatibility:
  - name: a
    base-url: http://a.example
    api-key-entries:
      - api-key: env:GONE
  - name: b
    base-url: http://b.example
    api-key-entries: [{api-key: env:GONE}, {api-key: env:THERE}]
  - name: c
    base-url: http://c.example
"""
    path = file(text)
    loaded = load(path, environ={"THERE": "x"})
    gone = "switched off: env:GONE leads nowhere: set the environment variable GONE"

    assert [entry.api_key for entry in loaded.config.claude_api_key] == ["here"]
    assert [(one.name, [key.api_key for key in one.api_key_entries]) for one in loaded.config.openai_compatibility] == [
        ("b", ["x"]),
        ("c", []),
    ]
    assert tuple(line for line in loaded.warnings if "has no effect" not in line) == (
        f"{path}:3:5: claude-api-key[0]: {gone}",
        f"{path}:9:9: openai-compatibility[0].api-key-entries[0]: {gone}",
        f"{path}:12:23: openai-compatibility[1].api-key-entries[0]: {gone}",
    )


def test_references_can_be_left_as_they_are(file: Write) -> None:
    """Who only wants to know where a secret is used asks no keyring, and misses nothing."""
    text = "api-keys: [keyring:mine]\nclaude-api-key: [{api-key: env:NOPE}]\nclaude-cli: {env: {A: keyring:a}}\n"
    loaded = load(file(text), environ={}, with_secrets=False)

    assert loaded.config.api_keys == ("keyring:mine",)
    assert loaded.config.claude_api_key[0].api_key == "env:NOPE"
    assert loaded.config.claude_cli.env == {"A": "keyring:a"}
    assert loaded.warnings == ()


def test_no_repr_shows_a_secret(file: Write) -> None:
    """What is logged of a configuration can't leak its keys."""
    text = "api-keys: [sk-one]\nclaude-cli: {env: {A: sk-two}}\nclaude-api-key: [{api-key: sk-three}]"
    text += "\nopenai-compatibility: [{name: o, base-url: 'http://o', api-key-entries: [{api-key: sk-four}]}]"

    assert "sk-" not in repr(load(file(text)))


def test_a_file_that_is_not_utf8_says_where(file: Write) -> None:
    """The line is named, though the text can't be read."""
    path = file(b"port: 1\nhost: \xff\n")

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value) == f"{path}:2:7: not UTF-8 text"


def test_a_byte_order_mark_is_no_harm(file: Write) -> None:
    """Some editors write one."""
    assert load(file(b"\xef\xbb\xbfport: 1\n")).config.port == 1


def test_a_file_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    """A directory, or a file without permission, is one line too."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)

    assert str(caught.value) == f"{tmp_path}: can't be read: Is a directory"


def test_a_config_can_not_be_changed() -> None:
    """Handlers may share it."""
    with pytest.raises(AttributeError):
        Config().port = 1  # type: ignore[misc]  # that it can't be is the point


def test_the_names_in_python_are_those_in_the_file() -> None:
    """One rule for all keys, so that nobody has to look one up."""
    assert {field.encode_name.replace("-", "_") for field in msgspec.structs.fields(Config)} == set(
        Config.__struct_fields__
    )
    assert loading.ENVIRONMENT_VARIABLE == "CLAUDE_PROXY_CONFIG"


@pytest.mark.parametrize(("text", "empty"), [("", True), ("# later\n", True), ("api-keys:\n", False)])
def test_an_empty_file_is_told_from_one_that_says_little(file: Write, text: str, *, empty: bool) -> None:
    """Who reads a file again must know whether somebody is only about to write it."""
    assert load(file(text)).is_empty is empty
