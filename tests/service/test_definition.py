"""What a service gets of a shell's environment, and what it may write to."""

import pytest

from claude_proxy.errors import ConfigError
from claude_proxy.service.definition import Noting, Service, carry, checked, needs_shared_temporary, places, writable


def service(
    home: str = "/home/me", *, command: tuple[str, ...] = ("/usr/bin/python3",), places: tuple[str, ...] = ()
) -> Service:
    """Give a service."""
    return Service(
        command=command, environment={"HOME": home}, home=home, secrets_file="/s", log_file="/l", places=places
    )


def test_what_the_server_needs_is_carried() -> None:
    """Where it finds programs, certificates, the network and its own files; in the shell's own spelling."""
    environ = {
        "HOME": "/home/me",
        "PATH": "/bin:/opt/bin",
        "LC_ALL": "C.UTF-8",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "XDG_CONFIG_HOME": "/home/me/conf",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }

    assert carry(environ, "/work").environment == environ


def test_relative_paths_are_made_absolute() -> None:
    """A service runs in another folder."""
    carried = carry({"CLAUDE_PROXY_CONFIG": "my.yaml", "SSL_CERT_FILE": "../ca.pem"}, "/srv/here")

    assert carried.environment == {
        "CLAUDE_PROXY_CONFIG": "/srv/here/my.yaml",
        "SSL_CERT_FILE": "/srv/here/../ca.pem",
    }


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "SSH_AUTH_SOCK", "VIRTUAL_ENV", "TMPDIR"])
def test_nothing_else_is_carried(name: str) -> None:
    """Least of all a key."""
    assert carry({name: "x"}, "/").environment == {}


def test_an_empty_variable_is_no_variable() -> None:
    """As for every program that reads these."""
    assert carry({"CLAUDE_CONFIG_DIR": "", "HTTP_PROXY": "", "CLAUDE_CODE_OAUTH_TOKEN": ""}, "/").environment == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat"),
        ("HTTPS_PROXY", "http://me:secret@proxy:3128"),
        ("all_proxy", "me:secret@proxy:3128"),
        ("HTTP_PROXY", "http://me:secret@[proxy:3128"),
    ],
)
def test_secrets_are_named_and_not_carried(name: str, value: str) -> None:
    """A unit is a plain file."""
    carried = carry({name: value}, "/")

    assert (carried.environment, carried.withheld) == ({}, (name,))


@pytest.mark.parametrize("value", ["http://me@proxy:3128", "proxy:3128", "http://[proxy"])
def test_a_proxy_without_a_password_is_carried(value: str) -> None:
    """It is no secret."""
    assert carry({"HTTPS_PROXY": value}, "/").environment == {"HTTPS_PROXY": value}


def test_folders_of_its_own_are_those_of_the_environment_and_the_profiles() -> None:
    """Each once."""
    environment = {"XDG_STATE_HOME": "/data/state", "CLAUDE_CONFIG_DIR": "/data/claude", "SSL_CERT_DIR": "/etc/ssl"}

    assert places(environment, ["/data/work", "/data/claude"]) == ("/data/state", "/data/claude", "/data/work")


def test_folders_inside_others_are_not_named_again() -> None:
    """Its home holds most of them."""
    found = writable(service(places=("/home/me/.work", "/data/claude", "/data/claude/sub", "/home/me")))

    assert found == ("/home/me", "/data/claude")


@pytest.mark.parametrize(
    "one",
    [
        service("/tmp/home"),
        service(command=("/usr/bin/python3", "--config", "/var/tmp/config.yaml")),
        service(places=("/tmp",)),
    ],
)
def test_what_lies_in_tmp_needs_the_machines_own(one: Service) -> None:
    """A private one would hide it."""
    assert needs_shared_temporary(one)
    assert {"/tmp", "/var/tmp"} <= set(writable(one))


def test_elsewhere_tmp_may_be_private() -> None:
    """A name that only begins alike is another place."""
    assert not needs_shared_temporary(service("/tmpfs/home", places=("relative",)))


def test_noting_knows_what_was_asked_for() -> None:
    """Known or not."""
    noting = Noting({"A": "1", "B": "2"})

    assert (noting.get("A"), noting.get("C"), len(noting), list(noting)) == ("1", None, 2, ["A", "B"])
    assert noting.asked == ["A", "C"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb", "PATH holds a line break or another control character"),
        ("a\x7f", "PATH holds a line break or another control character"),
        ("a\udcff", "PATH isn't UTF-8 text"),
    ],
)
def test_what_would_break_a_unit_is_refused(text: str, message: str) -> None:
    """With the name of what holds it."""
    with pytest.raises(ConfigError, match=message):
        checked("PATH", text)


def test_other_text_is_fine() -> None:
    """Odd as it may be."""
    assert checked("PATH", """/ö '"%$\\""") == """/ö '"%$\\"""
