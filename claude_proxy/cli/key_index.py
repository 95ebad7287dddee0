"""Which API keys of ours are in the system's keyring: their names and since when, in a file of the user's. No secret.

A keyring can't be asked for a list of its entries on every system, so we keep one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from claude_proxy.errors import ProxyError
from claude_proxy.files import read_private, write_private


class _Entry(msgspec.Struct):
    added: datetime


def index_path() -> Path:
    """Say where the file is."""
    from platformdirs import user_data_path

    return user_data_path("claude-proxy", appauthor=False) / "keys.json"


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """The names, in a file that only its owner can read and that is never half written."""

    path: Path

    def read(self) -> Mapping[str, datetime]:
        """Give when each name was added, in the order of the names."""
        try:
            entries = msgspec.json.decode(read_private(self.path), type=dict[str, _Entry])
        except FileNotFoundError:
            return {}
        except (msgspec.DecodeError, ValueError) as error:
            message = f"{self.path}: can't be understood ({error}): remove it; the keys stay in the keyring"
            raise ProxyError(message) from error
        return {name: entries[name].added for name in sorted(entries)}

    def add(self, name: str, at: datetime) -> None:
        """Note that a key was stored under a name."""
        self._write({**self.read(), name: at})

    def remove(self, name: str) -> None:
        """Forget a name, which needn't be there."""
        self._write({known: at for known, at in self.read().items() if known != name})

    def _write(self, names: Mapping[str, datetime]) -> None:
        text = msgspec.json.format(msgspec.json.encode({name: _Entry(at) for name, at in names.items()}))
        write_private(self.path, text + b"\n")
