"""Fixtures for all tests."""

import pytest
from chaos_stage import lasting_stage, stage
from cli_command import command
from real_cli import make_real, older, real
from scripted_server import backend, serve

__all__ = ["backend", "command", "lasting_stage", "make_real", "older", "real", "serve", "stage"]

# The backends' contract is no test file by its name: its asserts tell what they saw all the same.
pytest.register_assert_rewrite("contract")
