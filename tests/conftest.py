"""Fixtures for all tests."""

from real_cli import make_real, real

__all__ = ["make_real", "real"]
