"""Writes the parts of the documentation that the code already says: ``make docs``.

``commands.md`` has a section for each command, read off the Typer app; ``configuration.md`` a table of every key, read
off ``config/schema.py``. Only what stands between the two marks of a page is written; the prose around it is written by
hand. ``tests/docs`` fails when a page isn't what this would write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from claude_proxy.cli.main import app
from claude_proxy.config.keys import NOT_YET, Key, keys

HERE = Path(__file__).parent
BEGIN = "<!-- Written by docs/generate.py (`make docs`): change the code, not this. -->"
END = "<!-- The rest is written by hand. -->"


def main() -> None:
    """Write every page that has changed, and name it."""
    for page in PAGES:
        path = HERE / page
        before = path.read_text("utf-8")
        after = written(page, before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"wrote docs/{page}")  # noqa: T201  (a command's output)


def written(page: str, text: str) -> str:
    """Give a page's text with its generated part as the code has it now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    part = "\n\n".join(PAGES[page]())
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Give a table. A bar in a cell would end it, also inside of code."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


# -- commands.md -------------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Give what all commands have, and a section for each, the bare command first."""
    root: Any = typer.main.get_command(app)  # Typer has a Click of its own in some versions, so it has no type here
    above = root.context_class(root, info_name=app.info.name, **root.context_settings)
    below = [(one, one.context_class(one, info_name=name, parent=above)) for name, one in root.commands.items()]
    every = [(root, above), *below]
    shared = [record for record in records(root, above) if all(record in records(*one) for one in below)]
    yield "## Options of every command"
    yield "They stand before or after the command's name."
    yield table(("option", "meaning"), shared)
    for command, here in every:
        yield f"## `{here.command_path}`"
        yield from section(command, here, [record for record in records(command, here) if record not in shared])


def section(command: Any, here: Any, own: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Give what one command does, how it is called, and its examples."""
    yield unfolded(command.help)
    yield code("text", " ".join((here.command_path, *command.collect_usage_pieces(here))))
    if own:
        yield table(("argument or option", "meaning"), own)
    yield code("sh", *examples(command.epilog or ""))


def records(command: Any, here: Any) -> list[tuple[str, str]]:
    """Give each parameter as ``--help`` shows it, without what differs from one version of Typer to the next."""
    shown = (parameter.get_help_record(here) for parameter in command.get_params(here))
    return [(f"`{spelt(record[0])}`", meant(record[1])) for record in shown if record]


def spelt(signature: str) -> str:
    """Give an option with what it takes: ``--log-format rich|json``, ``--port NUMBER``."""
    signature = re.sub(r" (?:<bool>|BOOLEAN)", "", signature)
    taken = re.sub(r"[<\[](?:int|integer|float)(?: range)?[>\]]|INTEGER(?: RANGE)?|FLOAT", "NUMBER", signature)
    once = re.sub(r" <list\[\w+\]>$|\.\.\.$", "", taken)
    return re.sub(r"[<\[]([\w-]+(?:\|[\w-]+)+)[>\]]", r"\1", once)


def meant(text: str) -> str:
    """Give an option's meaning, with its default as a sentence and without its range."""
    meaning, *notes = re.split(r"\s+\[(?=default|required|[\w.]+<|x)", unfolded(text))
    default = next((match[1] for note in notes if (match := re.search(r"default: \(?([^;\])]+)", note))), None)
    return f"{meaning} Default: `{default}`." if default else meaning


def examples(epilog: str) -> list[str]:
    """Give the commands that the end of a help page shows."""
    return [line.strip() for line in epilog.partition("Examples:")[2].splitlines() if line.strip()]


def unfolded(text: str) -> str:
    """Give paragraphs of one line each."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def code(language: str, *lines: str) -> str:
    """Give a block of code."""
    return "\n".join((f"```{language}", *lines, "```"))


# -- configuration.md --------------------------------------------------------------------------------------------------


def configuration() -> Iterator[str]:
    """Give a table for the top level, and one for each section."""
    every = list(keys())
    sections = {top(key) for key in every if "." in key.name}
    yield "## The top level"
    yield of_keys(key for key in every if top(key) not in sections)
    for key in every:
        if key.name in sections:
            yield f"## `{key.name}`"
            yield key.meaning
            yield of_keys(one for one in every if one is not key and top(one) == key.name)


def top(key: Key) -> str:
    """Give the section that a key stands in, itself on the top level."""
    return re.split(r"\[|\.", key.name, maxsplit=1)[0]


def of_keys(some: Iterable[Key]) -> str:
    """Give keys as a table."""
    return table(("key", "default", "meaning"), ((f"`{key.name}`", default_of(key), meaning_of(key)) for key in some))


def default_of(key: Key) -> str:
    """Give a key's default as it would stand in the file."""
    if key.required:
        return "required"
    if isinstance(key.default, tuple):
        return f"`[{', '.join(key.default)}]`"
    return f"`{json.dumps(key.default)}`"


def meaning_of(key: Key) -> str:
    """Give a key's meaning, and whether it has an effect."""
    without = any(f"{key.name}.".startswith(f"{name}.") for name in NOT_YET)
    return f"{key.meaning} **No effect yet.**" if without else key.meaning


PAGES: dict[str, Callable[[], Iterable[str]]] = {"commands.md": commands, "configuration.md": configuration}

if __name__ == "__main__":
    main()
