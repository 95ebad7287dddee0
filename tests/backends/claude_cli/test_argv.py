"""A child's command line and environment."""

from __future__ import annotations

import json

import pytest

from claude_proxy.backends.claude_cli import argv

OWN = {
    "HOME": "/home/me",
    "PATH": "/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "https_proxy": "http://proxy:3128",
    "CLAUDE_CODE_OAUTH_TOKEN": "dummy",
    "CLAUDECODE": "1",
    "ANTHROPIC_API_KEY": "sk-secret",
    "ANTHROPIC_BASE_URL": "http://elsewhere",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


def value_after(arguments: list[str], option: str) -> str:
    """Give the argument that follows an option."""
    return arguments[arguments.index(option) + 1]


def test_the_child_has_no_tools_of_its_own() -> None:
    """The built-in tools are off, and only the client's are allowed."""
    arguments = argv.arguments("/opt/claude", "sonnet", lists_tools_early=True)
    assert value_after(arguments, "--tools") == ""
    assert value_after(arguments, "--allowedTools") == "mcp__client"
    assert "--strict-mcp-config" in arguments
    servers = json.loads(value_after(arguments, "--mcp-config"))["mcpServers"]
    assert servers == {"client": {"type": "sdk", "name": "client"}}
    assert "--mcp-config" not in argv.arguments("/opt/claude", "sonnet", lists_tools_early=False)


def test_the_child_reads_no_settings_and_leaves_no_session() -> None:
    """Neither the person's settings nor their slash commands take part, and nothing is kept on disk."""
    arguments = argv.arguments("/opt/claude", "sonnet", lists_tools_early=True)
    assert {"--setting-sources=", "--no-session-persistence", "--disable-slash-commands"} <= set(arguments)


def test_the_binary_and_the_model_are_the_ones_asked_for() -> None:
    """The command starts with the binary; the model is set once, here."""
    arguments = argv.arguments("/opt/claude", "claude-opus-5-5", lists_tools_early=True)
    assert arguments[0] == "/opt/claude"
    assert value_after(arguments, "--model") == "claude-opus-5-5"


def test_both_streams_are_ndjson_with_partial_messages() -> None:
    """Lines go in and out, and the reply comes as it is made."""
    arguments = argv.arguments("/opt/claude", "sonnet", lists_tools_early=True)
    assert value_after(arguments, "--input-format") == value_after(arguments, "--output-format") == "stream-json"
    assert {"-p", "--verbose", "--include-partial-messages"} <= set(arguments)


@pytest.mark.parametrize("name", ["HOME", "PATH", "LANG", "LC_ALL", "https_proxy", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_what_a_child_needs_is_inherited(name: str) -> None:
    """The home, the locale, proxies in either case, and a token that the person set."""
    assert argv.account_environment(OWN, {})[name] == OWN[name]


@pytest.mark.parametrize("name", ["CLAUDECODE", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "AWS_SECRET_ACCESS_KEY"])
def test_nothing_else_is_inherited(name: str) -> None:
    """A key that happens to lie in our environment must not take the plan's place, nor reach the child at all."""
    assert name not in argv.account_environment(OWN, {})


def test_a_configured_gateway_is_passed_on() -> None:
    """``claude-cli.base-url`` becomes the child's upstream."""
    assert (
        argv.account_environment(OWN, {}, base_url="http://127.0.0.1:1")["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1"
    )


def test_a_profile_selects_its_own_login() -> None:
    """Another profile has its own config directory."""
    assert argv.account_environment(OWN, {}, config_dir="/work")["CLAUDE_CONFIG_DIR"] == "/work"


def test_what_signs_the_default_login_in_is_kept_from_a_profile() -> None:
    """Else a token of the one would be spent under the name of the other."""
    extra = {"CLAUDE_CONFIG_DIR": "/default", "CLAUDE_CODE_OAUTH_TOKEN": "dummy", "EXTRA": "1"}
    env = argv.account_environment(OWN, extra, config_dir="/work")
    assert env["CLAUDE_CONFIG_DIR"] == "/work"
    assert env["EXTRA"] == "1"
    assert "CLAUDE_CODE_OAUTH_TOKEN" not in env


@pytest.mark.parametrize("tells", [True, False])
def test_only_a_child_that_shall_tell_failures_writes_them(tells: bool) -> None:  # noqa: FBT001  # both ways
    """To stderr, and of its log no more than the errors."""
    arguments = argv.arguments("/opt/claude", "sonnet", lists_tools_early=True, tells_failures=tells)
    assert ("--debug-to-stderr" in arguments) is tells
    env = argv.child_environment({}, version="1", tool_wait_seconds=1, tells_failures=tells)
    assert env.get("CLAUDE_CODE_DEBUG_LOG_LEVEL") == ("error" if tells else None)


@pytest.mark.parametrize("config_dir", [None, ""])
def test_the_default_profile_never_sets_the_config_directory(config_dir: str | None) -> None:
    """On macOS the login is stored under a name that depends on it."""
    assert "CLAUDE_CONFIG_DIR" not in argv.account_environment(OWN, {}, config_dir=config_dir)


def test_the_default_profile_leaves_the_users_own_config_directory() -> None:
    """Who has moved the directory is signed in there."""
    own = {"CLAUDE_CONFIG_DIR": "/mine"}
    assert argv.account_environment(own, {})["CLAUDE_CONFIG_DIR"] == "/mine"


def test_configured_variables_win() -> None:
    """``claude-cli.env`` is the user's word."""
    env = argv.account_environment(OWN, {"HOME": "/other", "EXTRA": "1"})
    assert (env["HOME"], env["EXTRA"]) == ("/other", "1")


def test_attachments_are_off_in_every_child() -> None:
    """K04: the second lock on ``@path``, beside ``client_composed``."""
    env = argv.child_environment({}, version="1", tool_wait_seconds=1)
    assert env["CLAUDE_CODE_DISABLE_ATTACHMENTS"] == "1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK", "1"),
        ("CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK", "1"),
        ("CLAUDE_CODE_DISABLE_REFUSAL_RETRY", "1"),
        ("CLAUDE_CODE_MAX_RETRIES", "0"),
    ],
)
def test_one_request_of_ours_is_one_upstream(name: str, value: str) -> None:
    """K07: the CLI never takes a second sample; what is tried again is our decision."""
    assert argv.child_environment({}, version="1", tool_wait_seconds=1)[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENABLE_TOOL_SEARCH", "false"),
        ("CLAUDE_AGENT_SDK_MCP_NO_PREFIX", "1"),
        ("CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS", "0"),
        ("CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP", "1"),
        ("DISABLE_AUTO_COMPACT", "1"),
    ],
)
def test_the_conversation_stays_the_clients(name: str, value: str) -> None:
    """Tools keep their names, held calls stay held, the model is the one asked for and the history is never cut."""
    assert argv.child_environment({}, version="1", tool_wait_seconds=1)[name] == value


@pytest.mark.parametrize("seconds", [0, 0.5, 600, 3600])
def test_it_is_never_the_cli_that_ends_the_wait_for_a_tool(seconds: float) -> None:
    """K05: its own limit lies well above ours, in whole milliseconds."""
    limit = argv.child_environment({}, version="1", tool_wait_seconds=seconds)["MCP_TOOL_TIMEOUT"]
    assert int(limit) >= 2 * seconds * 1000 + 60_000


def test_we_say_who_we_are() -> None:
    """The upstream can tell that it is us who ask."""
    env = argv.child_environment({}, version="1.2.3", tool_wait_seconds=1)
    assert env["CLAUDE_AGENT_SDK_CLIENT_APP"] == "claude-proxy/1.2.3"


def test_a_childs_environment_holds_the_account() -> None:
    """What decides who is signed in is all there."""
    account = argv.account_environment(OWN, {})
    assert account.items() <= argv.child_environment(account, version="1", tool_wait_seconds=1).items()


@pytest.mark.parametrize(
    ("account", "plan"),
    [
        ({}, True),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "x"}, True),
        ({"ANTHROPIC_API_KEY": ""}, True),
        ({"ANTHROPIC_API_KEY": "x"}, False),
        ({"ANTHROPIC_AUTH_TOKEN": "x"}, False),
    ],
)
def test_a_configured_key_is_no_plan_login(account: dict[str, str], plan: bool) -> None:  # noqa: FBT001  # expected value
    """Only with a key is ``metadata`` ours to set."""
    assert argv.is_plan_login(account) is plan
