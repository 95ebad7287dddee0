"""Keys that CLIProxyAPI has and we don't, each with what to use instead: its users bring their file.

Purely a table. Names are dotted like ours, list indices left out.
"""

from __future__ import annotations

_UPSTREAM = "give that upstream an `openai-compatibility` entry, where it offers Chat Completions"
_OWN_NAME = "nothing to set: claude-proxy never imitates another client"
_NO_COOLING = "use `request-retry` and `max-retry-interval`"
_NOTHING = "there is nothing like it here; take it out"

_BY_ADVICE: dict[str, tuple[str, ...]] = {
    "use `claude-proxy login`; more sign-ins of yours go in `claude-cli.profiles`": (
        "auth-dir",
        "auth-auto-refresh-workers",
        "generative-language-api-key",
    ),
    "use `api-keys`": ("auth", "allow-localhost-unauthenticated"),
    "nothing to set: the dashboard at `/` takes the same `api-keys` as clients do": ("remote-management",),
    "use `routing.fall-back-to-api-key`": ("quota-exceeded",),
    "nothing to set: there is no WebSocket endpoint": ("ws-auth", "claude-api-key.websockets"),
    "use `usage-statistics-enabled`": ("redis-usage-queue-retention-seconds", "usage"),
    "use `logs-max-total-size-mb`": ("error-logs-max-files",),
    "use `streaming.keepalive-seconds`": ("nonstream-keepalive-interval",),
    "use `debug`": ("pprof",),
    "use `model-aliases`": ("oauth-model-alias", "oauth-model-mappings"),
    "use `excluded-models` of a `claude-api-key` entry": ("oauth-excluded-models",),
    "use `claude-cli.max-processes`": ("credential-concurrency", "credential-in-flight"),
    "nothing to set: HTTPS is on when `tls.cert` and `tls.key` are set": ("tls.enable",),
    "nothing to set: a conversation always stays with its process": (
        "routing.session-affinity",
        "routing.session-affinity-ttl",
        "routing.session-affinity-subagents",
        "routing.claude-code-session-affinity",
    ),
    "use `request-retry`": (
        "max-retry-credentials",
        "streaming.bootstrap-retries",
        "claude-api-key.request-retry",
        "openai-compatibility.request-retry",
    ),
    "use the entry's own `proxy-url`, or the global one": ("openai-compatibility.api-key-entries.proxy-url",),
    "take the whole entry out to disable it": ("claude-api-key.disabled", "openai-compatibility.disabled"),
    _UPSTREAM: (
        "gemini-api-key",
        "interactions-api-key",
        "codex-api-key",
        "xai-api-key",
        "vertex-api-key",
        "codex",
        "xai",
        "antigravity",
        "ampcode",
    ),
    _OWN_NAME: (
        "claude-header-defaults",
        "codex-header-defaults",
        "disable-claude-cloak-mode",
        "claude-code",
        "claude-api-key.cloak",
        "claude-api-key.fingerprint-profile",
        "claude-api-key.experimental-cch-signing",
    ),
    _NO_COOLING: (
        "disable-cooling",
        "save-cooldown-status",
        "transient-error-cooldown-seconds",
        "oauth-request-scoped-errors",
        "claude-api-key.disable-cooling",
        "claude-api-key.request-scoped-errors",
        "openai-compatibility.disable-cooling",
        "openai-compatibility.request-scoped-errors",
    ),
    _NOTHING: (
        "antigravity-signature-bypass-strict",
        "antigravity-signature-cache-enabled",
        "claude-api-key.models.display-name",
        "claude-api-key.models.force-mapping",
        "claude-api-key.models.is-compat",
        "claude-api-key.models.max-context-length",
        "claude-api-key.models.thinking",
        "claude-api-key.priority",
        "claude-api-key.rebuild-mid-system-message",
        "claude-api-key.weight",
        "commercial-mode",
        "disable-image-generation",
        "force-model-prefix",
        "gpt-image-2-base-model",
        "openai-compatibility.api-key-entries.weight",
        "openai-compatibility.models.display-name",
        "openai-compatibility.models.force-mapping",
        "openai-compatibility.models.image",
        "openai-compatibility.models.input-modalities",
        "openai-compatibility.models.is-compat",
        "openai-compatibility.models.max-context-length",
        "openai-compatibility.models.output-modalities",
        "openai-compatibility.models.thinking",
        "openai-compatibility.priority",
        "openai-compatibility.support-prompt-cache-key",
        "passthrough-headers",
        "payload",
        "plugins",
        "video-result-auth-cache-ttl",
    ),
}

FOREIGN: dict[str, str] = {name: advice for advice, names in _BY_ADVICE.items() for name in names}
"""A key's dotted name to what to do instead."""
