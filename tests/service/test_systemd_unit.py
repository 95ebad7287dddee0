"""The systemd unit, as text. What systemd makes of it is seen with a real one, in ``test_user_systemd``."""

import pytest

from claude_proxy.errors import ConfigError
from claude_proxy.service import systemd
from claude_proxy.service.definition import Service

ODD = """/o'd "d" 100% $x\\"""


def service(**fields: object) -> Service:
    """Give a service with other fields than usual."""
    usual = {
        "command": ("/opt/venv/bin/python", "-m", "claude_proxy", "serve"),
        "environment": {"HOME": "/home/me"},
        "home": "/home/me",
        "secrets_file": "/home/me/.config/claude-proxy/service.env",
        "log_file": "",
    }
    return Service(**{**usual, **fields})  # type: ignore[arg-type]


def settings(unit: str) -> dict[str, list[str]]:
    """Read a unit: each setting's values in order."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def test_a_unit_starts_the_server_and_starts_it_again() -> None:
    """Unless its configuration is wrong; and open streams may end."""
    found = settings(systemd.render(service(stop_seconds=90)))

    assert found["ExecStart"] == [":/opt/venv/bin/python -m claude_proxy serve"]
    assert found["ExecReload"] == ['/bin/sh -c "kill -HUP ${MAINPID}"']
    assert found["Environment"] == ["HOME=/home/me"]
    assert found["EnvironmentFile"] == ["-/home/me/.config/claude-proxy/service.env"]
    assert found["Restart"] == ["on-failure"]
    assert found["RestartPreventExitStatus"] == ["2"]
    assert found["KillMode"] == ["mixed"]
    assert found["TimeoutStopSec"] == ["100"]
    assert found["WantedBy"] == ["default.target"]


def test_a_unit_forbids_what_the_cli_does_not_need() -> None:
    """All but writable and executable memory, for it compiles while it runs."""
    found = settings(systemd.render(service()))

    for key in ("NoNewPrivileges", "PrivateTmp", "PrivateUsers", "PrivateDevices", "RestrictNamespaces"):
        assert found[key] == ["yes"]
    for key in ("ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectControlGroups"):
        assert found[key] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""]
    assert found["ReadWritePaths"] == ["-/home/me"]
    assert "MemoryDenyWriteExecute" not in found


def test_without_namespaces_a_unit_asks_for_none() -> None:
    """It wouldn't start. The rest stays forbidden."""
    found = settings(systemd.render(service(), namespaces=False))

    assert not {"PrivateUsers", "PrivateTmp", "ProtectSystem", "ReadWritePaths", "CapabilityBoundingSet"} & set(found)
    assert found["NoNewPrivileges"] == found["RestrictNamespaces"] == ["yes"]
    assert found["SystemCallFilter"] == ["@system-service"]


def test_what_is_needed_in_tmp_is_not_hidden_by_a_private_one() -> None:
    """Then the machine's own stays, and stays writable."""
    found = settings(systemd.render(service(home="/tmp/me")))

    assert "PrivateTmp" not in found
    assert found["ReadWritePaths"] == ["-/tmp", "-/var/tmp"]


def test_what_means_something_to_systemd_is_escaped() -> None:
    """Quotes, percent signs, backslashes, blanks; a colon before the command keeps dollars as they are."""
    odd = service(command=("/bin/x", ODD), environment={"A": ODD}, home=ODD, secrets_file=f"{ODD}/s")
    found = settings(systemd.render(odd))

    quoted = """/o'd \\"d\\" 100%% $x\\\\\""""
    assert found["ExecStart"] == [f':/bin/x "{quoted}']
    assert found["Environment"] == [f'"A={quoted}']
    assert found["ReadWritePaths"] == [f'"-{quoted}']
    assert found["EnvironmentFile"] == ["""-/o'd "d" 100%% $x\\/s"""]


def test_a_program_that_systemd_would_not_start_is_started_by_a_shell() -> None:
    """For its name has a quote in it."""
    found = settings(systemd.render(service(command=("/it's/python", "serve"))))

    assert found["ExecStart"] == [""":/bin/sh -c "exec \\"$0\\" \\"$@\\"" "/it's/python" serve"""]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"command": ("/bin/x", "a\nb")}, "the command"),
        ({"environment": {"LANG": "a\nb"}}, "LANG"),
        ({"home": "/a\nb"}, "a folder"),
        ({"secrets_file": "/a\nb"}, "the folder of the configuration"),
    ],
)
def test_a_line_break_is_refused(fields: dict[str, object], name: str) -> None:
    """It would be another setting."""
    with pytest.raises(ConfigError, match=f"^{name} holds a line break"):
        systemd.render(service(**fields))


def test_namespaces_are_tried_out_with_what_the_unit_asks_for() -> None:
    """Else the trial would say nothing about it."""
    lines = systemd.render(service()).splitlines()

    assert set(systemd.trial()) <= set(lines)


def test_variables_of_a_file() -> None:
    """As a person writes them."""
    text = "# a comment\n; another=one\nA=1\n B = two words \nC='x=y'\nD=\"q\"\nE=\nF='\n\nnonsense\n"

    assert systemd.variables(text) == {"A": "1", "B": "two words", "C": "x=y", "D": "q", "E": "", "F": "'"}
