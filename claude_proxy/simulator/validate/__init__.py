"""The strictness of the real API: ``check(body, models)`` raises what it would answer. Pure."""

from claude_proxy.simulator.validate.request import check

__all__ = ["check"]
