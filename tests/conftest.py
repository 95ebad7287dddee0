"""Fixtures for all tests."""

from real_cli import make_real, real
from scripted_server import backend, serve

__all__ = ["backend", "make_real", "real", "serve"]
