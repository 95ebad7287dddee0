"""The table of CLIProxyAPI's keys."""

import re

from claude_proxy.config.foreign import FOREIGN
from claude_proxy.config.keys import keys

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
