"""The LaunchAgent, as a property list. Pure."""

from __future__ import annotations

import plistlib

from claude_proxy.service.definition import MARK, Service, checked

LABEL = "local.claude-proxy"


def render(service: Service) -> str:
    """Write the property list."""
    data = {
        "Label": LABEL,
        "ProgramArguments": [checked("the command", part) for part in service.command],
        "EnvironmentVariables": {name: checked(name, value) for name, value in service.environment.items()},
        "WorkingDirectory": checked("HOME", service.home),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        # Open streams end first.
        "ExitTimeOut": service.stop_seconds + 10,
        "Umask": 0o077,
        # The default of 256 is little for streams, and three pipes a CLI process.
        "SoftResourceLimits": {"NumberOfFiles": 4096},
        "StandardOutPath": checked("the log", service.log_file),
        "StandardErrorPath": service.log_file,
    }
    text = plistlib.dumps(data, sort_keys=False).decode()
    return text.replace("<plist ", f"<!-- {MARK} -->\n<plist ", 1)
