"""Stands for the official CLI where only its version and who is signed in matter: to the real one nobody can be."""

from pathlib import Path

_SCRIPT = """#!/bin/sh
case "$*" in
  --version) echo "9.9.9 (Claude Code)";;
  "auth status")
    if [ -z "$CLAUDE_CONFIG_DIR" ] && [ -f "$HOME/signed-in" ]
    then echo '{"loggedIn": true, "email": "me@example.test", "subscriptionType": "max"}'
    else echo '{"loggedIn": false}'; exit 1; fi;;
  *) exit 1;;
esac
"""


def write(home: Path, *, signed_in: bool, more: str = "") -> Path:
    """Write one, and a configuration that names it; give the configuration's file."""
    binary = home / "claude"
    binary.write_text(_SCRIPT)
    binary.chmod(0o700)
    if signed_in:
        (home / "signed-in").touch()
    config = home / "config.yaml"
    config.write_text(f"claude-cli: {{path: {binary}, profiles: {{work: {{config-dir: ~/.work}}}}}}\n{more}")
    return config
