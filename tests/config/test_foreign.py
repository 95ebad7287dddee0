"""The table of CLIProxyAPI's keys."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from claude_proxy.config.document import check
from claude_proxy.config.foreign import FOREIGN
from claude_proxy.config.keys import keys
from claude_proxy.config.load import load

BROUGHT = Path(__file__).with_name("brought.yaml")
LISTS = {key.name.rpartition("[]")[0].replace("[]", "") for key in keys() if "[]" in key.name}
OURS = {key.name.replace("[]", "") for key in keys()}


def test_no_key_of_ours_is_called_foreign() -> None:
    """A key that gets a meaning here leaves the table."""
    assert not OURS & set(FOREIGN)


def test_advice_names_only_keys_that_there_are() -> None:
    """What a warning says to use instead exists."""
    leaves = {name.rpartition(".")[2] for name in OURS}
    named = {word for advice in FOREIGN.values() for word in re.findall(r"`([a-z.-]+)`", advice)}

    assert named - OURS - leaves == set()


def test_foreign_keys_of_a_section_are_below_a_section_of_ours() -> None:
    """Else nobody would ever be warned of them."""
    sections = {name.rpartition(".")[0] for name in FOREIGN} - {""}

    assert sections <= OURS


def test_a_file_that_was_brought_is_used_as_far_as_it_goes() -> None:
    """Keys that mean the same are taken, each of the others is one line that says where it is and what to use."""
    loaded = load(BROUGHT, environ={})
    config, lines = loaded.config, BROUGHT.read_text().splitlines()
    (upstream,), (other,) = config.claude_api_key, config.openai_compatibility

    assert (config.port, config.api_keys, config.request_retry) == (8400, ("our-test-key",), 2)
    assert (config.routing.strategy, config.streaming.keepalive_seconds) == ("fill-first", 7)
    assert (upstream.prefix, upstream.models[0].alias, upstream.excluded_models) == ("team", "large", ("*-small",))
    assert (other.name, other.api_key_entries[0].api_key, other.models[0].name) == (
        "local",
        "another-key",
        "vendor/model:free",
    )
    for warning in loaded.warnings:
        match = re.fullmatch(r".*:(\d+):(\d+): (\S+): not used by claude-proxy; (.+)", warning)
        assert match
        line, column, key, advice = match.groups()
        assert lines[int(line) - 1][int(column) - 1 :].startswith(key.rpartition(".")[2] + ":")
        assert advice == FOREIGN[re.sub(r"\[\d+\]", "", key)]
    assert len(loaded.warnings) == 41


def written(name: str) -> str:
    """Give a file that holds a key, with all that must be beside it."""
    inside: Any = {"anything": [1, {"at": "all"}]}
    while name:
        name, _, leaf = name.rpartition(".")
        inside = {leaf: inside}
        if name in LISTS:
            needed = [key.name.replace("[]", "").rpartition(".") for key in keys() if key.required]
            inside = [inside | {key: "http://x" for section, _, key in needed if section == name}]
    return yaml.safe_dump(inside)


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_every_key_of_the_table_is_a_warning_wherever_it_stands(name: str) -> None:
    """Whatever its value is."""
    (warning,) = check(written(name), "brought").warnings

    assert warning.endswith(f": not used by claude-proxy; {FOREIGN[name]}")
