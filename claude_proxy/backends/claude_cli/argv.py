"""The command line and the environment of a child. Pure: the server's own environment is an argument."""

from __future__ import annotations

import json
from collections.abc import Mapping

from claude_proxy.backends.claude_cli.control import SERVER

_INHERITED = frozenset(
    {
        "HOME",
        "PATH",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_OAUTH_TOKEN",
    }
)
"""What a child may see of our environment. Nothing else: an API key in it would quietly take the plan's place."""

_TUNING = {
    # Client tools are real tools from the first request, under the client's own names.
    "ENABLE_TOOL_SEARCH": "false",
    "CLAUDE_AGENT_SDK_MCP_NO_PREFIX": "1",
    "CLAUDE_CODE_MAX_MCP_DESCRIPTION_LENGTH": "1000000",
    # A held tool call stays held.
    "CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS": "0",
    # Text is text: never a file's content, never a note of the CLI's own beside it.
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",
    "DISABLE_AUTO_COMPACT": "1",
    # One request upstream for one of ours; what to do about a failure is our decision.
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    "CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    # Nothing in the background.
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
}

_SIGN_INS = frozenset({"CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN"})
"""What selects the default sign-in, and so is kept from the others."""

_CLIENT_TOOLS = json.dumps({"mcpServers": {SERVER: {"type": "sdk", "name": SERVER}}})
"""The client's tools as a server that the CLI reaches through stdin and stdout. It greets it as it starts, so that a
conversation that begins later need not wait for that."""

_API_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


def arguments(binary: str, model: str, *, lists_tools_early: bool, tells_failures: bool = False) -> list[str]:
    """Give the command line of a child for ``model``: no tools of its own, no settings, no session on disk.

    ``lists_tools_early``: it asks for the client's tools as it starts, and not only when it is initialised.
    ``tells_failures``: it writes to stderr what went wrong, where its answers are silent about it.
    """
    return [
        binary,
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--tools",
        "",
        "--strict-mcp-config",
        *(["--mcp-config", _CLIENT_TOOLS] if lists_tools_early else []),
        "--setting-sources=",
        "--no-session-persistence",
        "--disable-slash-commands",
        "--allowedTools",
        f"mcp__{SERVER}",
        "--model",
        model,
        *(["--debug-to-stderr"] if tells_failures else []),
    ]


def account_environment(
    own: Mapping[str, str], extra: Mapping[str, str], *, base_url: str = "", config_dir: str | None = None
) -> dict[str, str]:
    """Give what decides who is signed in and where requests go: the allowed part of ``own``, and what was configured.

    ``config_dir`` selects another login than the default, which leaves ``CLAUDE_CONFIG_DIR`` as the user has it; what
    signs the default one in is kept from it.
    """
    env = {
        name: value
        for name, value in own.items()
        if name in _INHERITED or name.upper() in _INHERITED or name.startswith("LC_")
    }
    if base_url:
        env["ANTHROPIC_BASE_URL"] = base_url
    env.update(extra)
    if config_dir:
        env = {name: value for name, value in env.items() if name not in _SIGN_INS}
        env["CLAUDE_CONFIG_DIR"] = config_dir
    return env


def child_environment(
    account: Mapping[str, str], *, version: str, tool_wait_seconds: float, tells_failures: bool = False
) -> dict[str, str]:
    """Give a child's whole environment. ``version`` is ours; ``tells_failures`` goes with that of the command."""
    return {
        **_TUNING,
        # Twice the time we hold a call, so that it is always we who end the wait.
        "MCP_TOOL_TIMEOUT": str(int(tool_wait_seconds * 2000) + 600_000),
        "CLAUDE_AGENT_SDK_CLIENT_APP": f"claude-proxy/{version}",
        **account,
        **({"CLAUDE_CODE_DEBUG_LOG_LEVEL": "error"} if tells_failures else {}),
    }


def is_plan_login(account: Mapping[str, str]) -> bool:
    """Tell whether requests go through the subscription, not through an API key that was configured."""
    return not any(account.get(name) for name in _API_KEYS)
