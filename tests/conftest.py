"""Fixtures for all tests."""

import gc

import pytest
from chaos_stage import lasting_stage, stage
from cli_command import command
from hypothesis import HealthCheck, settings
from real_cli import make_real, older, real
from scripted_server import backend, serve

__all__ = ["backend", "command", "lasting_stage", "make_real", "older", "real", "serve", "stage"]

# The backends' contract is no test file by its name: its asserts tell what they saw all the same.
pytest.register_assert_rewrite("contract")

# Making examples takes its time where a machine is busy, which no test is about.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

gc.disable()  # until all is imported: nothing of it is garbage


def pytest_collection_finish() -> None:
    """Have the collector pass over thousands of tests, and all that they have imported: they stay to the end."""
    gc.freeze()
    gc.enable()
