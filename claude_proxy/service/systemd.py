"""The systemd user unit, as text. Pure.

What it forbids was tried with the real CLI as a child. ``MemoryDenyWriteExecute`` is missing because that compiles
while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from claude_proxy.service.definition import MARK, Service, checked, needs_shared_temporary, writable

UNIT = "claude-proxy.service"

FORBIDDEN = (
    ("NoNewPrivileges", "yes"),
    ("UMask", "0077"),
    # The CLI asks the kernel which interfaces there are (netlink); keyrings are reached over a Unix socket.
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallErrorNumber", "EPERM"),
)
"""What any user's systemd can hold a service to."""

PRIVATE = (
    # Named, since systemd before 253 doesn't see for itself that the others need it.
    ("PrivateUsers", "yes"),
    ("CapabilityBoundingSet", ""),
    ("PrivateDevices", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectSystem", "strict"),
)
"""What needs namespaces, which some systems keep from users. There, systemd would refuse to start the service."""

_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_TAKEN = frozenset("'\"\\")
_VARIABLE = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*")


def render(service: Service, *, namespaces: bool = True) -> str:
    """Write the unit. ``namespaces``: this user's systemd may make them."""
    return "\n".join(
        (
            f"# {MARK}",
            "# Your own settings belong into `systemctl --user edit claude-proxy`.",
            "[Unit]",
            "Description=claude-proxy: your own Claude for OpenAI and Anthropic clients",
            "StartLimitIntervalSec=60",
            "StartLimitBurst=5",
            "",
            "[Service]",
            "Type=exec",
            *_what(service),
            "",
            *(f"{key}={value}" for key, value in FORBIDDEN),
            *(_private(service) if namespaces else ()),
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        )
    )


def _what(service: Service) -> tuple[str, ...]:
    return (
        # The colon: no `$` in it is a variable.
        f"ExecStart=:{' '.join(_quoted('the command', part) for part in _startable(service.command))}",
        # Reads its configuration again, which it also does by itself when the file changes.
        'ExecReload=/bin/sh -c "kill -HUP ${MAINPID}"',
        *(f"Environment={_quoted(name, f'{name}={value}')}" for name, value in service.environment.items()),
        f"EnvironmentFile=-{_escaped('the folder of the configuration', service.secrets_file)}",
        "Restart=on-failure",
        "RestartSec=1",
        "# Wrong configuration: starting again can't help.",
        "RestartPreventExitStatus=2",
        "# Open streams end first; the CLI's processes are ended by the server.",
        "KillMode=mixed",
        f"TimeoutStopSec={service.stop_seconds + 10}",
        "# One CLI process that takes too much memory doesn't take the server with it.",
        "OOMPolicy=continue",
    )


def _startable(command: tuple[str, ...]) -> tuple[str, ...]:
    """Let a shell start what systemd won't, whose programs may have neither quotes nor backslashes in their names."""
    return command if _TAKEN.isdisjoint(command[0]) else ("/bin/sh", "-c", 'exec "$0" "$@"', *command)


def _private(service: Service) -> tuple[str, ...]:
    return (
        *(f"{key}={value}" for key, value in PRIVATE),
        *(f"ReadWritePaths={_quoted('a folder', f'-{place}')}" for place in writable(service)),
        *(() if needs_shared_temporary(service) else ("PrivateTmp=yes",)),
    )


def trial() -> tuple[str, ...]:
    """Give the settings with which to try out whether namespaces can be made."""
    return (*(f"{key}={value}" for key, value in PRIVATE), "PrivateTmp=yes")


def _quoted(name: str, text: str) -> str:
    word = _escaped(name, text)
    if _PLAIN.fullmatch(word):
        return word
    word = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"'


def _escaped(name: str, text: str) -> str:
    """Write a text so that nothing in it is a specifier, like ``%h``."""
    return checked(name, text).replace("%", "%%")


def variables(text: str) -> Mapping[str, str]:
    """Read an ``EnvironmentFile``: ``NAME=value`` lines, as systemd does for all that a person writes by hand."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _VARIABLE.fullmatch(line)
        if match and not line.lstrip().startswith(("#", ";")):
            name, value = match.groups()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            found[name] = value[1:-1] if quoted else value
    return found
