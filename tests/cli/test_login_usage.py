"""Which options and names of ``login`` go together."""

import pytest

from claude_proxy.cli.login_usage import Way, WrongUsage, way


@pytest.mark.parametrize(
    ("names", "given", "wanted"),
    [
        ("", "", Way.SIGN_IN),
        ("claude", "", Way.SIGN_IN),
        ("claude", "--profile --console --no-browser", Way.SIGN_IN),
        ("console", "--api-key", Way.KEEP_KEY),
        ("console", "--key-stdin", Way.KEEP_KEY),
        ("my.key_2-b", "--api-key --key-stdin --no-check", Way.KEEP_KEY),
        ("", "--list", Way.LIST),
        ("", "--list --json", Way.LIST),
        ("", "--remove", Way.REMOVE),
    ],
)
def test_what_goes_together(names: str, given: str, wanted: Way) -> None:
    """The option says what is wanted, no option signs in."""
    assert way(names.split(), set(given.split())) is wanted


@pytest.mark.parametrize(
    ("names", "given", "why"),
    [
        ("console", "", "To store an API key as console, add --api-key"),
        ("", "--api-key", "A key needs a name"),
        ("", "--no-check", "--no-check goes with --api-key."),
        ("", "--json", "--json goes with --list."),
        ("console", "--api-key --profile", "--profile doesn't go with --api-key."),
        ("console", "--key-stdin --console", "--console doesn't go with --api-key."),
        ("", "--list --no-browser", "--no-browser doesn't go with --list."),
        ("", "--list --remove", "--list doesn't go with --remove."),
        ("", "--remove --json", "--json doesn't go with --remove."),
        ("console", "--list", "--list takes no more names."),
        ("console", "--remove", "--remove takes no more names."),
        ("claude", "--api-key", "claude is the sign-in of the CLI"),
        ("a:b", "--api-key", "A name may hold letters"),
        ("a/b", "", "A name may hold letters"),
    ],
)
def test_what_does_not_go_together(names: str, given: str, why: str) -> None:
    """The message says what would."""
    with pytest.raises(WrongUsage) as caught:
        way(names.split(), set(given.split()))

    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("given", ["", "--api-key"])
@pytest.mark.parametrize("names", ["sk-ant-api03-hidden", "console hidden", f"{'hidden' * 11}"])
def test_a_key_among_the_names_is_not_repeated(names: str, given: str) -> None:
    """Errors end up in logs, and a name in a file that isn't meant for secrets."""
    with pytest.raises(WrongUsage) as caught:
        way(names.split(), set(given.split()))

    assert "hidden" not in str(caught.value)
