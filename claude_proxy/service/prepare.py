"""From the configuration and this shell to what is to run as a service. Reads files, and writes none.

The configuration is read with the service's eyes: what it couldn't start with is an error now, in the terminal, and not
later in a log.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from claude_proxy.config.load import ENVIRONMENT_VARIABLE, Loaded, default_path, find, load
from claude_proxy.config.schema import Config
from claude_proxy.errors import ConfigError
from claude_proxy.service.definition import SIGN_IN, Noting, Service, carry, places
from claude_proxy.service.install import Address
from claude_proxy.service.systemd import variables

Platform = Literal["systemd", "launchd"]

_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (an address to connect to instead)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to run, where it will be reached (``None``: only it will know), and what its user should know."""

    service: Service
    address: Address | None
    url: str
    notes: tuple[str, ...]


def log_file(home: Path) -> Path:
    """Say where a LaunchAgent writes what systemd would keep in its journal."""
    return home / "Library" / "Logs" / "claude-proxy" / "service.log"


def prepare(platform: Platform, config: Path | None, environ: Mapping[str, str], folder: Path, home: Path) -> Prepared:
    """Read the configuration, and choose what the service gets; ``config`` is what ``--config`` names."""
    path = find(config, environ)
    carried = carry(environ, str(folder))
    environment = {**carried.environment, "HOME": str(home)}
    named: tuple[str, ...] = ()
    if config and path:
        named = ("--config", str(path.absolute()))
        environment.pop(ENVIRONMENT_VARIABLE, None)
    secrets = default_path().with_name("service.env")
    loaded, missing = _load(platform, path, {**environment, **_secrets(platform, secrets)}, environ, secrets)
    _refuse_relative(loaded)
    unseen = [*missing, *(name for name in carried.withheld if name not in _secrets(platform, secrets))]
    service = Service(
        command=(sys.executable, "-P", "-m", "claude_proxy", *named, "serve"),
        environment=environment,
        home=str(home),
        secrets_file=str(secrets),
        log_file=str(log_file(home)),
        places=places(environment, _own_folders(loaded.config)),
        stop_seconds=round(loaded.config.shutdown_seconds),
    )
    address, url = _reached(loaded.config)
    return Prepared(service, address, url, (*loaded.warnings, *_notes(platform, unseen, secrets)))


def _load(
    platform: Platform, path: Path | None, seen: Mapping[str, str], environ: Mapping[str, str], secrets: Path
) -> tuple[Loaded, Sequence[str]]:
    """Read the configuration as it is here, then as the service will see it; give the references it won't have."""
    noting = Noting({**environ, **seen})
    loaded = load(path, environ=noting)
    missing = [name for name in dict.fromkeys(noting.asked) if not seen.get(name)]
    if missing:
        try:
            load(path, environ=seen)
        except ConfigError as error:
            raise ConfigError(
                f"{error}. A service doesn't see this shell's variables: {_advice(platform, missing, secrets)}"
            ) from error
    return loaded, missing


def _secrets(platform: Platform, file: Path) -> Mapping[str, str]:
    """Read what the user has written for the service alone. launchd knows no such file."""
    try:
        return variables(file.read_text()) if platform == "systemd" else {}
    except FileNotFoundError:
        return {}


def _notes(platform: Platform, unseen: Sequence[str], secrets: Path) -> Iterator[str]:
    """Name what the service won't see. The CLI's own token is nothing to be kept by us, nor on our advice."""
    keys = [name for name in dict.fromkeys(unseen) if name != SIGN_IN]
    if keys:
        yield f"the service won't see {', '.join(keys)} of this shell: {_advice(platform, keys, secrets)}"
    if SIGN_IN in unseen:
        yield f"the service won't see {SIGN_IN} of this shell: sign in with `claude-proxy login`, which it uses, too"


def _advice(platform: Platform, names: Sequence[str], secrets: Path) -> str:
    if platform == "systemd":
        lines = " and ".join(f"{name}=…" for name in names)
        return f"write {lines} into {secrets} (chmod 600), or use `keyring:` in the configuration"
    return (
        "store each with `claude-proxy login NAME --api-key` (with --no-check what is no API key) and write "
        "`keyring:NAME` in the configuration, in `claude-cli.env` what the CLI needs"
    )


def _refuse_relative(loaded: Loaded) -> None:
    config = loaded.config
    for key, value in (
        ("claude-cli.path", config.claude_cli.path),
        ("tls.cert", config.tls.cert),
        ("tls.key", config.tls.key),
    ):
        if value and not Path(value).expanduser().is_absolute():
            raise ConfigError(f"{loaded.path}: {key}: a service runs in another folder: write an absolute path")


def _own_folders(config: Config) -> Sequence[str]:
    """Give the folders that the server and the CLI make for themselves."""
    profiles = (Path(profile.config_dir).expanduser() for profile in config.claude_cli.profiles.values())
    return [str(path) for path in profiles if path.is_absolute()]


def _reached(config: Config) -> tuple[Address | None, str]:
    """Say where it will listen, for a connection and for a person."""
    if not config.port:
        return None, ""
    host = _ANY.get(config.host, config.host).strip("[]")
    shown = f"[{host}]" if ":" in host else host
    return (host, config.port), f"{'https' if config.tls.cert else 'http'}://{shown}:{config.port}"
