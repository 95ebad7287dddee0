"""What ``config.yaml`` may hold: one field a key, with its default, its range and its meaning.

A field's description is the one place its meaning is written: ``docs/configuration.md`` is made of it (``make docs``),
and a test holds ``config.example.yaml`` to name every key. Reading files is ``load``'s business.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

BackendKind = Literal["claude-cli", "claude-api-key", "openai-compatibility"]


class Tls(Struct, frozen=True, kw_only=True, rename="kebab"):
    """HTTPS for the listening socket."""

    cert: Annotated[
        str,
        Meta(
            description="PEM file with the certificate chain; HTTPS is on when both are set. A change needs a restart."
        ),
    ] = ""
    key: Annotated[str, Meta(description="PEM file with the certificate's private key. A change needs a restart.")] = ""


class Routing(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Which backend gets a request."""

    prefer: Annotated[
        tuple[BackendKind, ...],
        Meta(description="Kinds of backend in the order they are tried when several have the model."),
    ] = ("claude-cli", "claude-api-key", "openai-compatibility")
    strategy: Annotated[
        Literal["round-robin", "fill-first"],
        Meta(description="How API keys that serve the same model share the work: `round-robin` or `fill-first`."),
    ] = "round-robin"
    fall_back_to_api_key: Annotated[
        bool,
        Meta(description="When the plan's limit is reached, go on with an API key. That costs money, so it is off."),
    ] = False


class Profile(Struct, frozen=True, kw_only=True, rename="kebab"):
    """One more sign-in of the same person."""

    config_dir: Annotated[
        str, Meta(description="The profile's own `CLAUDE_CONFIG_DIR`; `~` is your home.", min_length=1)
    ]


class ClaudeCliConfig(Struct, frozen=True, kw_only=True, rename="kebab"):
    """The official `claude` CLI and its processes."""

    enabled: Annotated[bool, Meta(description="Whether this backend is used at all.")] = True
    path: Annotated[
        str, Meta(description="The `claude` binary; empty: the one that the `cli` extra brings, else the one on PATH.")
    ] = ""
    base_url: Annotated[
        str,
        Meta(
            description="`ANTHROPIC_BASE_URL` of the CLI, for a gateway. One that isn't loopback needs "
            "`ANTHROPIC_API_KEY` or `ANTHROPIC_AUTH_TOKEN` in `env`, so that your sign-in is never sent there."
        ),
    ] = ""
    env: Annotated[
        dict[str, str],
        Meta(description="More environment variables for the CLI; values may be `env:` or `keyring:` names."),
    ] = {}
    profiles: Annotated[
        dict[str, Profile], Meta(description="More sign-ins of yours by name; `work` is asked for as `work/sonnet`.")
    ] = {}
    warm_models: Annotated[
        tuple[str, ...],
        Meta(
            description="Models that have a process ready before anyone asks. A profile's processes start when it is "
            "first asked."
        ),
    ] = ("sonnet",)
    warm: Annotated[int, Meta(ge=0, le=64, description="How many ready processes each warm model has.")] = 1
    max_processes: Annotated[
        int,
        Meta(
            ge=1,
            le=256,
            description="Never more CLI processes than this for each sign-in; requests above it wait, clients in turn.",
        ),
    ] = 4
    max_memory_mb: Annotated[
        int, Meta(ge=64, description="A process that has grown above this is replaced after its turn.")
    ] = 1024
    idle_seconds: Annotated[
        float, Meta(ge=0, description="How long a conversation's process is kept for its next turn.")
    ] = 300
    first_byte_seconds: Annotated[float, Meta(gt=0, description="How long a turn may take to its first event.")] = 120
    turn_seconds: Annotated[float, Meta(gt=0, description="How long a whole turn may take.")] = 600
    tool_wait_seconds: Annotated[
        float, Meta(ge=0, description="How long pending tool calls are held open for the client's results.")
    ] = 600
    plan_only: Annotated[
        bool,
        Meta(
            description="Once the plan reports its limit or extra usage, refuse until the window resets "
            "(one request may slip through)."
        ),
    ] = True
    mcp_servers: Annotated[
        dict[str, dict[str, Any]], Meta(description="Server-side MCP servers, by name, that clients may switch on.")
    ] = {}


class ModelName(Struct, frozen=True, kw_only=True, rename="kebab"):
    """One model of an upstream."""

    name: Annotated[str, Meta(description="The upstream's name for the model.", min_length=1)]
    alias: Annotated[str, Meta(description="The name clients use for it; empty: the same.")] = ""


class ClaudeApiKey(Struct, frozen=True, kw_only=True, rename="kebab"):
    """An API key for the Anthropic API, or for another upstream that speaks it."""

    api_key: Annotated[
        str, Meta(description="The key: better `keyring:NAME` or `env:NAME` than the key itself.", min_length=1)
    ]
    base_url: Annotated[str, Meta(description="Where the API is; empty: api.anthropic.com.")] = ""
    prefix: Annotated[str, Meta(description="Ask for `prefix/model` to use this entry and no other.")] = ""
    headers: Annotated[dict[str, str], Meta(description="Headers added to each request.")] = {}
    proxy_url: Annotated[str, Meta(description="Outbound proxy of this entry; empty: the global `proxy-url`.")] = ""
    models: Annotated[
        tuple[ModelName, ...], Meta(description="The models it serves; empty: what the upstream lists.")
    ] = ()
    excluded_models: Annotated[
        tuple[str, ...], Meta(description="Models it must not serve; `*` stands for anything.")
    ] = ()


class ApiKeyEntry(Struct, frozen=True, kw_only=True, rename="kebab"):
    """One key of an OpenAI-compatible upstream."""

    api_key: Annotated[
        str, Meta(description="The key: better `keyring:NAME` or `env:NAME` than the key itself.", min_length=1)
    ]


class OpenAICompatibility(Struct, frozen=True, kw_only=True, rename="kebab"):
    """An upstream that speaks Chat Completions."""

    name: Annotated[str, Meta(description="What it is called in logs and in `x-claude-proxy-backend`.", min_length=1)]
    base_url: Annotated[str, Meta(description="Where its API is, `/v1` included.", min_length=1)]
    api_key_entries: Annotated[
        tuple[ApiKeyEntry, ...], Meta(description="Its keys; none for an upstream that asks for none.")
    ] = ()
    prefix: Annotated[str, Meta(description="Ask for `prefix/model` to use this entry and no other.")] = ""
    headers: Annotated[dict[str, str], Meta(description="Headers added to each request.")] = {}
    models: Annotated[
        tuple[ModelName, ...], Meta(description="The models it serves; empty: what the upstream lists.")
    ] = ()


class Streaming(Struct, frozen=True, kw_only=True, rename="kebab"):
    """How streams behave."""

    keepalive_seconds: Annotated[
        float, Meta(ge=0, description="A silent stream gets a sign of life this often; 0: never.")
    ] = 15


class Config(Struct, frozen=True, kw_only=True, rename="kebab"):
    """The whole file. ``Config()`` is what runs without one."""

    host: Annotated[
        str,
        Meta(
            description="Where to listen; empty: all interfaces. Anything but loopback needs `api-keys`. "
            "A change needs a restart."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The TCP port; 0: any free one. A change needs a restart.")
    ] = 8317
    api_keys: Annotated[
        tuple[str, ...],
        Meta(description="What clients must send, as Bearer or `x-api-key`: strings, `env:NAME` or `keyring:NAME`."),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="Host names accepted besides loopback names and `host`.")
    ] = ()
    cors_origins: Annotated[tuple[str, ...], Meta(description="Browser origins that may call; none by default.")] = ()
    tls: Annotated[Tls, Meta(description="HTTPS for the listening socket.")] = Tls()
    debug: Annotated[bool, Meta(description="Log more: also the starts, ids, exits and stderr of CLI processes.")] = (
        False
    )
    log_format: Annotated[
        Literal["rich", "json"], Meta(description="`rich` for people, `json` for machines (one object a line).")
    ] = "rich"
    logging_to_file: Annotated[bool, Meta(description="Write the log to files instead of the terminal.")] = False
    logs_max_total_size_mb: Annotated[
        int, Meta(ge=0, description="The oldest log files go when all together are larger; 0: never.")
    ] = 100
    request_log: Annotated[
        bool, Meta(description="Log full bodies, for debugging; secrets are masked, conversations are not.")
    ] = False
    proxy_url: Annotated[str, Meta(description="Outbound http, https or socks5 proxy of the API-key backends.")] = ""
    request_retry: Annotated[
        int, Meta(ge=0, le=10, description="How often a request is tried again; only before its first byte.")
    ] = 3
    max_retry_interval: Annotated[
        float, Meta(ge=0, description="Seconds that all retries of one request may take together.")
    ] = 30
    body_limit_mb: Annotated[int, Meta(ge=1, le=1024, description="A larger request is refused with 413.")] = 64
    max_concurrent_requests: Annotated[
        int, Meta(ge=1, description="Above it a request is refused with 429 and `retry-after`.")
    ] = 64
    shutdown_seconds: Annotated[
        float, Meta(ge=0, description="How long open streams may take to end when the server stops.")
    ] = 30
    strict: Annotated[
        bool, Meta(description="Refuse a field that can't be honoured with 400 instead of naming it as lost.")
    ] = False
    default_model: Annotated[str, Meta(description="The model of a request that names none.", min_length=1)] = "sonnet"
    model_aliases: Annotated[
        dict[str, str], Meta(description="Names that clients ask for, and the model that each one means.")
    ] = {}
    routing: Annotated[Routing, Meta(description="Which backend gets a request.")] = Routing()
    claude_cli: Annotated[ClaudeCliConfig, Meta(description="The official `claude` CLI, signed in by you.")] = (
        ClaudeCliConfig()
    )
    claude_api_key: Annotated[
        tuple[ClaudeApiKey, ...], Meta(description="API keys for the Anthropic API or an upstream that speaks it.")
    ] = ()
    openai_compatibility: Annotated[
        tuple[OpenAICompatibility, ...], Meta(description="Upstreams that speak Chat Completions.")
    ] = ()
    streaming: Annotated[Streaming, Meta(description="How streams behave.")] = Streaming()
    responses_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36500,
            description="How long responses are kept, in a local file, for `previous_response_id` and to be read "
            "again. 0: none is kept, and `store` is named as lost.",
        ),
    ] = 30
    usage_statistics_enabled: Annotated[
        bool, Meta(description="Count requests and tokens by model, in a local file.")
    ] = True
