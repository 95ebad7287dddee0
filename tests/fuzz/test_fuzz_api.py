"""Requests made from ``/openapi.json``, right ones and wrong ones: no 500, no hang, and the answer is what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fuzzed_server import demo, scripted
from fuzzing import EXAMPLES, tried
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SECONDS = 60


@pytest.fixture(scope="module", params=[scripted, demo] if EXAMPLES else [scripted])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a server's URL: that of the real CLI only where there is time for it."""
    with request.param(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture(scope="module")
def operations(url: str) -> list[Any]:
    """Give the operations that the server describes."""
    found = schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()
    return [operation.ok() for operation in found if isinstance(operation, Ok)]


@pytest.mark.timeout(0 if EXAMPLES else 60)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_asked_is_answered_as_described(operations: list[Any], url: str, mode: GenerationMode) -> None:
    """Each operation, with what its description allows and with what it doesn't."""
    strategies = {operation.label: operation.as_strategy(generation_mode=mode) for operation in operations}
    turns = [label for label in strategies if label.startswith("POST /v1/")]

    # Where there is a body, there is most to get wrong.
    @tried(25)
    @given(st.sampled_from([*turns, *turns, *turns, *strategies]).flatmap(strategies.__getitem__))
    def ask(case: Any) -> None:
        response = case.call(base_url=url, timeout=SECONDS)
        case.validate_response(response, checks=CHECKS)

    ask()
