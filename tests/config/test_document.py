"""One line for each mistake in a file: where it is, which key, what was expected."""

import pytest

from claude_proxy.config.document import check
from claude_proxy.errors import ConfigError

MISTAKES = {
    "unknown key": ("prot: 3", '1:1: prot: unknown key; did you mean "port"?'),
    "unknown key that is like no other": ("\nxyzzy: 3", "2:1: xyzzy: unknown key"),
    "underscores": ("log_format: json", '1:1: log_format: unknown key; did you mean "log-format"?'),
    "capitals": ("PORT: 3", '1:1: PORT: unknown key; did you mean "port"?'),
    "unknown key in a section": (
        "claude-cli:\n  warm: 1\n  max-proceses: 3\n",
        '3:3: claude-cli.max-proceses: unknown key; did you mean "claude-cli.max-processes"?',
    ),
    "key of another section": (
        "idle-seconds: 3",
        '1:1: idle-seconds: unknown key; did you mean "claude-cli.idle-seconds"?',
    ),
    "twice": ("port: 1\nhost: a\nport: 2", "3:1: port: is set twice, first in line 1; take one out"),
    "twice in free data": (
        "claude-cli:\n  mcp-servers:\n    a:\n      command: x\n      command: y",
        "5:7: claude-cli.mcp-servers.a.command: is set twice, first in line 4; take one out",
    ),
    "text for a number": ("port: abc", "1:7: port: expected a whole number from 0 to 65535, found a string"),
    "too large": ("port: 70000", "1:7: port: expected a whole number from 0 to 65535, found 70000"),
    "too small": ("body-limit-mb: 0", "1:16: body-limit-mb: expected a whole number from 1 to 1024, found 0"),
    "fraction": ("port: 1.5", "1:7: port: expected a whole number from 0 to 65535, found 1.5"),
    "no upper end": (
        "max-concurrent-requests: 0",
        "1:26: max-concurrent-requests: expected a whole number of at least 1, found 0",
    ),
    "zero seconds": (
        "claude-cli: {turn-seconds: 0}",
        "1:28: claude-cli.turn-seconds: expected a number above 0, found 0",
    ),
    "not a number": (
        "claude-cli: {turn-seconds: .nan}",
        "1:28: claude-cli.turn-seconds: expected a number above 0, found nan",
    ),
    "infinite": ("shutdown-seconds: .inf", "1:19: shutdown-seconds: expected a number of at least 0, found inf"),
    "bad tag value": ("port: !!int x", "1:7: port: expected a whole number from 0 to 65535, found a number"),
    "number for a text": ("api-keys: [123]", "1:12: api-keys[0]: expected a string, found a number; put it in quotes"),
    "truth for a text": (
        "claude-cli: {warm-models: [yes]}",
        "1:28: claude-cli.warm-models[0]: expected a string, found true or false; put it in quotes",
    ),
    "date for a text": (
        "model-aliases:\n  a: 2026-01-01",
        "2:6: model-aliases.a: expected a string, found a date; put it in quotes",
    ),
    "nothing for a text": ("host:", "1:6: host: expected a string, found nothing"),
    "empty text": ('default-model: ""', "1:16: default-model: expected a string that isn't empty, found a string"),
    "text for truth": ("strict: maybe", "1:9: strict: expected true or false, found a string"),
    "wrong choice": ("log-format: xml", "1:13: log-format: expected one of json, rich, found xml"),
    "number for a choice": ("log-format: 1", "1:13: log-format: expected one of json, rich, found a number"),
    "text for a list": ("api-keys: secret-key", "1:11: api-keys: expected a list, found a string"),
    "list for a section": ("tls: [a]", "1:6: tls: expected a mapping, found a list"),
    "mapping for a text": ("host: {a: b}", "1:7: host: expected a string, found a mapping"),
    "list as the file": ("- a", "1:1: the file: expected a mapping, found a list"),
    "list as a name": ("? [a]\n: b", "1:3: the file: expected a name before the colon, found a list"),
    "missing": ("claude-api-key:\n  - prefix: x", "2:5: claude-api-key[0].api-key: is missing"),
    "tag": (
        "port: !!python/object:os.system 3",
        "1:7: port: expected a whole number from 0 to 65535, found the tag tag:yaml.org,2002:python/object:os.system",
    ),
    "tag in free data": (
        "claude-cli: {mcp-servers: {a: {b: !x 3}}}",
        "1:35: claude-cli.mcp-servers.a.b: expected plain data, found the tag !x",
    ),
    "holds itself": (
        "claude-cli:\n  mcp-servers:\n    a: &x\n      b: *x",
        "3:8: claude-cli.mcp-servers.a.b.b: holds itself",
    ),
    "merge key": ("<<: {port: 3}", "1:1: <<: unknown key"),
    "broken": (
        "a: [",
        "1:5: not valid YAML: while parsing a flow node expected the node content, but found '<stream end>'",
    ),
    "undefined alias": ("a: *b", "1:4: not valid YAML: found undefined alias 'b'"),
    "two documents": (
        "debug: true\n---\ndebug: false",
        "2:1: not valid YAML: expected a single document in the stream but found another document",
    ),
    "control character": ("debug: true\nhost: \x00", "2:7: a control character, which YAML doesn't allow"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_one_line_with_its_place(text: str, message: str) -> None:
    """Each kind of mistake is told with file, line and key, word for word."""
    with pytest.raises(ConfigError) as caught:
        check(text, "my.yaml")

    assert str(caught.value) == f"my.yaml:{message}"


def test_messages_never_hold_a_strings_content() -> None:
    """A string in the wrong place may be a secret."""
    with pytest.raises(ConfigError) as caught:
        check("api-keys: sk-very-secret", "my.yaml")

    assert "sk-very-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    """A file without a key is a legal file."""
    assert check(text, "my.yaml").data == {}


@pytest.mark.parametrize("key", ["api-keys", "tls", "model-aliases", "claude-cli"])
def test_a_list_or_section_may_be_left_empty(key: str) -> None:
    """Nothing after the colon means the default, as it does in CLIProxyAPI."""
    assert check(f"{key}:\n", "my.yaml").data == {}


def test_values_arrive_as_written() -> None:
    """Every kind of value comes through."""
    text = """
host: localhost
port: 0
strict: true
shutdown-seconds: 0.5
api-keys: [one, "2"]
model-aliases: {4.1: opus}
claude-cli:
  profiles: {work: {config-dir: ~/.work}}
  mcp-servers: {files: {command: run, args: [-v, 1, null, true], env: {A: b}}}
"""
    assert check(text, "my.yaml").data == {
        "host": "localhost",
        "port": 0,
        "strict": True,
        "shutdown-seconds": 0.5,
        "api-keys": ["one", "2"],
        "model-aliases": {"4.1": "opus"},
        "claude-cli": {
            "profiles": {"work": {"config-dir": "~/.work"}},
            "mcp-servers": {"files": {"command": "run", "args": ["-v", 1, None, True], "env": {"A": "b"}}},
        },
    }


def test_every_key_knows_its_place() -> None:
    """A later check can still say where something was written."""
    document = check("\nport: 1\napi-keys:\n  - a\n  - b\ntls:\n  cert: x\n", "my.yaml")

    assert [document.where(key) for key in ("port", "api-keys[1]", "tls.cert", "tls.key", "host")] == [
        "my.yaml:2:1",
        "my.yaml:5:5",
        "my.yaml:7:3",
        "my.yaml:6:1",
        "my.yaml:1:1",
    ]


WARNINGS = {
    "top": (
        "port: 1\nauth-dir: x",
        (
            "2:1: auth-dir: not used by claude-proxy; use `claude-proxy login`; more sign-ins of yours go in"
            " `claude-cli.profiles`"
        ),
    ),
    "section": (
        "tls:\n  enable: true",
        "2:3: tls.enable: not used by claude-proxy; nothing to set: HTTPS is on when `tls.cert` and `tls.key` are set",
    ),
    "list": (
        "claude-api-key:\n- api-key: k\n  models:\n  - name: m\n    thinking: {levels: [high]}",
        (
            "5:5: claude-api-key[0].models[0].thinking: not used by claude-proxy; there is nothing like it here; "
            "take it out"
        ),
    ),
}


@pytest.mark.parametrize(("text", "warning"), WARNINGS.values(), ids=list(WARNINGS))
def test_a_cliproxyapi_key_is_a_warning_that_says_what_to_use(text: str, warning: str) -> None:
    """Its users bring their file, and learn what to change."""
    assert check(text, "my.yaml").warnings == [f"my.yaml:{warning}"]
