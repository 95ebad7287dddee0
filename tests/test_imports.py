"""The rules of the house that can be read off the source: who may import whom, and what pure modules may not."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "claude_proxy"
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
PURE = sorted(
    path
    for pattern in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["claude-proxy"]["pure"]
    for path in ROOT.glob(pattern)
)
IMPURE = {"asyncio", "aiohttp", "os", "time", "uuid", "random", "logging"}

# A room, and what of ours it may import besides itself and the package's version. The longest name that fits counts.
ALLOWED = {
    "errors": (),
    "framing": ("errors",),
    "files": (),
    "sqlite_file": ("files",),
    "system_keyring": (),
    "credentials": ("errors", "system_keyring"),
    "canon": ("errors",),
    "config": ("errors", "credentials"),
    "routing": ("errors", "backends.base"),
    "dialects": ("errors", "framing", "canon"),
    "backends.base": ("errors", "canon"),
    "backends": (
        "errors",
        "framing",
        "canon",
        "config",
        "credentials",
        "files",
        "backends.base",
        "backends.http",
        "backends.parameters",
    ),
    # They run the CLI against the simulator, to see what it does before it is trusted.
    "backends.claude_cli.scene": ("errors", "canon", "simulator"),
    "backends.claude_cli.checks": ("errors", "canon", "simulator"),
    "backends.claude_cli.probe": ("errors", "files", "simulator"),
    "ledger": ("errors", "canon", "config", "sqlite_file"),
    "store": ("errors", "sqlite_file"),
    "server": (
        "errors",
        "framing",
        "canon",
        "config",
        "credentials",
        "routing",
        "dialects",
        "backends.base",
        "ledger",
        "store",
    ),
    "simulator": ("errors", "framing", "canon"),
    "service": ("errors", "config", "files"),
    "cli": (
        "errors",
        "config",
        "credentials",
        "system_keyring",
        "files",
        "service",
        "ledger",
        "backends.base",
        # Only what concerns the binary and its sign-in: backends are made in cli.serve.
        "backends.claude_cli.account",
        "backends.claude_cli.argv",
        "backends.claude_cli.binary",
    ),
    # A key is checked as the backend that it is for would use it.
    "cli.key_check": (
        "errors",
        "config",
        "backends.http",
        "backends.anthropic.entries",
        "backends.anthropic.headers",
        "backends.openai.entries",
    ),
    "cli.login_key": ("errors", "config", "credentials", "system_keyring", "backends.http.check"),
    "cli.serve": (
        "errors",
        "config",
        "credentials",
        "ledger",
        "store",
        "server",
        "simulator",
        "backends",
    ),
    # Without a server, the CLI's own backend is asked, and listed as the server lists it.
    "cli.models": ("errors", "config", "backends.claude_cli.backend", "server.catalog"),
    "cli.status_check": (
        "errors",
        "backends.claude_cli.binary",
        "backends.claude_cli.features",
        "backends.claude_cli.probe",
    ),
    "__main__": ("cli.main",),
}
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "misc"}


def module_name(path: Path) -> str:
    """Give a file's dotted name below the package."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Give the dotted names of all that a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            assert node.module is not None
            is_package = (ROOT / node.module.replace(".", "/")).is_dir()
            # ``from package import module`` imports the module as well.
            found += [f"{node.module}.{alias.name}" if is_package else node.module for alias in node.names]
    return tuple(found)


def inside(name: str, room: str) -> bool:
    """Tell whether a module is a room or in it."""
    return name == room or name.startswith(f"{room}.")


def own_imports(path: Path) -> list[str]:
    """Give the names below the package that a file imports; the version isn't one."""
    ours = [name.removeprefix(f"{PACKAGE}.") for name in imports(path) if name.startswith(f"{PACKAGE}.")]
    return [name for name in ours if name != "__version__"]


def room_of(name: str) -> str:
    """Give the room whose rule holds for a module."""
    return max((room for room in ALLOWED if inside(name, room)), key=len, default="")


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down_only(path: Path) -> None:
    """A module imports what its room may, and nothing above or beside it."""
    name = module_name(path)
    if not name:
        assert own_imports(path) == []
        return
    room = room_of(name)
    assert room, f"{name} is in no room that ALLOWED knows"
    own = name.split(".")[0]
    # A backend's folder is a room of its own: one backend never imports another.
    itself = ".".join(name.split(".")[:2]) if own == "backends" else own
    may = (itself, *ALLOWED[room])
    assert [found for found in own_imports(path) if not any(inside(found, one) for one in may)] == []


@pytest.mark.parametrize("path", PURE, ids=module_name)
def test_pure_modules_do_no_io_and_know_no_time(path: Path) -> None:
    """They import nothing that could reach the world outside."""
    assert {name.split(".")[0] for name in imports(path)} & IMPURE == set()


def reached_from(path: Path) -> set[Path]:
    """Give every file of ours that importing a file runs."""
    reached: set[Path] = set()
    ahead = [path]
    while ahead:
        current = ahead.pop()
        reached.add(current)
        named = (ROOT / PACKAGE / name.replace(".", "/") for name in own_imports(current))
        files = {one for stem in named for one in (stem.with_suffix(".py"), stem / "__init__.py") if one.is_file()}
        ahead += files - reached
    return reached


@pytest.mark.parametrize("path", PURE, ids=module_name)
def test_pure_modules_reach_nothing_impure(path: Path) -> None:
    """What is pure stays pure, however long the chain of imports."""
    found = {module_name(one): {name.split(".")[0] for name in imports(one)} & IMPURE for one in reached_from(path)}

    assert {name for name, impure in found.items() if impure} == set()


def test_the_pure_list_finds_files() -> None:
    """A list that finds nothing would hold nothing."""
    assert {"errors", "framing", "canon.grammar", "dialects.base"} <= {module_name(path) for path in PURE}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_names_say_what_is_inside(path: Path) -> None:
    """No drawer for everything."""
    assert not VAGUE & set(module_name(path).split("."))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_module_states_its_promise(path: Path) -> None:
    """The first thing in a file is what it is for."""
    assert ast.get_docstring(ast.parse(path.read_text()))
