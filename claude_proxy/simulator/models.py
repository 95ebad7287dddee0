"""What each model takes and refuses, as the real API does it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True)
class ModelRules:
    """One model's rules.

    Attributes:
        display_name: Its name for people.
        created_at: When it came out.
        max_output: The most ``max_tokens`` may be.
        context: The most input tokens it takes.
        always_thinks: Thinking can't be turned off, so what thinking forbids is always refused.
        adaptive: Takes ``thinking: {"type": "adaptive"}``.
        prefill: Goes on from a trailing assistant message while it isn't thinking.
        omits_thinking: Streams thinking without its text unless the request asks for ``display: summarized``.
        efforts: The levels of ``output_config.effort``; none means that it refuses the parameter.
    """

    display_name: str
    created_at: str
    max_output: int = 128_000
    context: int = 1_000_000
    always_thinks: bool = False
    adaptive: bool = True
    prefill: bool = False
    omits_thinking: bool = False
    efforts: tuple[str, ...] = ALL_EFFORTS


_TODAY = ModelRules("", "2026-09-01T00:00:00Z", always_thinks=True, omits_thinking=True)
_OLDER = ModelRules("", "", max_output=64_000, context=200_000, adaptive=False, prefill=True, efforts=())

MODELS: dict[str, ModelRules] = {
    "claude-fable-5-2": replace(_TODAY, display_name="Claude Fable 5.2"),
    "claude-opus-5-5": replace(_TODAY, display_name="Claude Opus 5.5"),
    "claude-sonnet-5-5": replace(_TODAY, display_name="Claude Sonnet 5.5"),
    "claude-haiku-5-5": replace(_TODAY, display_name="Claude Haiku 5.5"),
    "claude-sonnet-4-6": ModelRules("Claude Sonnet 4.6", "2026-02-17T00:00:00Z"),
    "claude-opus-4-6": ModelRules("Claude Opus 4.6", "2026-02-04T00:00:00Z"),
    "claude-haiku-4-5-20251001": replace(_OLDER, display_name="Claude Haiku 4.5", created_at="2025-10-01T00:00:00Z"),
    "claude-sonnet-4-5-20250929": replace(_OLDER, display_name="Claude Sonnet 4.5", created_at="2025-09-29T00:00:00Z"),
    "claude-opus-4-1-20250805": replace(
        _OLDER, display_name="Claude Opus 4.1", created_at="2025-08-05T00:00:00Z", max_output=32_000
    ),
}
