"""What ``claude-proxy login`` is asked to do, and which of its options go together. Renders nothing, asks nobody."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

from claude_proxy.credentials import is_name

CLAUDE = "claude"
"""The name of the CLI's own sign-in; no key can have it."""

_LONGEST_NAME = 64
_BEGINNINGS_OF_KEYS = ("sk-", "sk_")


class Way(StrEnum):
    """What can be asked for; its value is the option that asks for it, ``login`` without one signs in."""

    SIGN_IN = "login"
    KEEP_KEY = "--api-key"
    LIST = "--list"
    REMOVE = "--remove"


_OPTIONS = {
    Way.REMOVE: ("--remove",),
    Way.LIST: ("--list", "--json"),
    Way.KEEP_KEY: ("--api-key", "--key-stdin", "--no-check"),
    Way.SIGN_IN: ("--profile", "--console", "--no-browser"),
}


class WrongUsage(Exception):
    """Options or names that don't go together. ``str()`` says what to do; a name that may be a key isn't repeated."""


def way(names: Sequence[str], given: Collection[str]) -> Way:
    """Say what is asked for. ``names`` are the arguments, ``given`` the options that were set."""
    chosen = next((one for one, options in _OPTIONS.items() if options[0] in given), Way.SIGN_IN)
    if chosen is Way.SIGN_IN and "--key-stdin" in given:
        chosen = Way.KEEP_KEY
    for option in sorted(set(given) - set(_OPTIONS[chosen])):
        own = next(one for one, options in _OPTIONS.items() if option in options)
        if chosen is Way.SIGN_IN and own is not Way.SIGN_IN:
            raise WrongUsage(f"{option} goes with {own}.")
        raise WrongUsage(f"{option} doesn't go with {chosen}.")
    _check_names(chosen, names)
    return chosen


def _check_names(chosen: Way, names: Sequence[str]) -> None:
    match chosen:
        case Way.KEEP_KEY:
            if not names:
                raise WrongUsage("A key needs a name: claude-proxy login NAME --api-key.")
            if len(names) > 1:
                raise WrongUsage("Give one name and no key: that is asked for, since others can see what stands here.")
            check_name(names[0])
        case Way.SIGN_IN:
            if names and list(names) != [CLAUDE]:
                check_name(names[0])
                raise WrongUsage(f"To store an API key as {names[0]}, add --api-key; to sign in, leave the name out.")
        case Way.LIST | Way.REMOVE:
            if names:
                raise WrongUsage(f"{chosen} takes no more names.")


def check_name(name: str) -> None:
    """Raise ``WrongUsage`` for what no key can be stored as."""
    if name == CLAUDE:
        raise WrongUsage(f"{CLAUDE} is the sign-in of the CLI: choose another name for the key.")
    if name.startswith(_BEGINNINGS_OF_KEYS) or len(name) > _LONGEST_NAME:
        raise WrongUsage("This looks like the key itself: choose a short name for it, and you are asked for the key.")
    if not is_name(name):
        raise WrongUsage("A name may hold letters, digits, `_`, `.` and `-`.")
