"""What OpenAI's two APIs have in common among their parameters. Pure."""

from __future__ import annotations

from claude_proxy.errors import BadRequest

JSON_OBJECT = "Answer with exactly one JSON object: no code fence, and no words before or after it."
"""What the model is told where the reply shall be any JSON object."""


def at_least_one(given: int | None, name: str) -> int | None:
    """Give a number that must be at least 1 where it is given."""
    if given is not None and given < 1:
        raise BadRequest(f"{name}: it must be at least 1", param=name)
    return given


def temperature(given: float | None, losses: list[str]) -> float | None:
    """Give the temperature on the Messages API's scale, which ends at 1."""
    if given is None:
        return None
    if not 0 <= given <= 2:  # noqa: PLR2004 - OpenAI's scale
        raise BadRequest("temperature: it must be between 0 and 2", param="temperature")
    if given > 1:
        losses.append("temperature")
    return min(given, 1.0)


def top_p(given: float | None) -> float | None:
    """Give ``top_p``."""
    if given is not None and not 0 <= given <= 1:
        raise BadRequest("top_p: it must be between 0 and 1", param="top_p")
    return given


def user_id(user: str | None, safety_identifier: str | None, losses: list[str]) -> str | None:
    """Give who the client says its user is: OpenAI has two fields for it."""
    if user and safety_identifier and user != safety_identifier:
        losses.append("safety_identifier")
    return user or safety_identifier or None
