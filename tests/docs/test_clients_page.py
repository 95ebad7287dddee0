"""What ``docs/clients.md``, the quick start and the README tell readers to paste works as it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import codex_cli_bin
import pytest
from cli_process import environment
from demo_server import demonstrating
from snippets import BY_HAND, BY_TESTS, NOT_RUN, ROOT, Section, Snippet, sections

from claude_proxy.backends.claude_cli.binary import find_binary

PAGE = sections("docs/clients.md")
CLIENTS = {section.title: section for section in PAGE if section.title != "Another client"}
RUN = [section for section in CLIENTS.values() if section.tried == BY_TESTS]
ALONE = {"js": [f"{sys.prefix}/bin/node", "{file}"], "sh": ["bash", "-e", "{file}"]}
TOGETHER = "import runpy, sys\nfor file in sys.argv[1:]:\n    runpy.run_path(file); print(chr(12))"
"""Python snippets run one after the other in one process: what takes long is that they import."""
SUFFIX = {"js": "mjs", "sh": "sh"}
MODULES = Path(sys.prefix) / "node_modules"
SECONDS = 90
ANSWER = "I'm the built-in simulator of claude-proxy"
CURL = f"""#!{sys.executable}
import sys, urllib.request
_, url, _, header, _, body = sys.argv
request = urllib.request.Request(url, body.encode(), dict([header.split(": ")]))
print(urllib.request.urlopen(request).read().decode())
"""
"""Stands in for curl where there is none."""
ELSEWHERE = {"Codex CLI", "Claude Code"}
"""Clients that read a file or want a terminal: they have tests of their own."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one server for all; give its address."""
    with demonstrating(tmp_path_factory.mktemp("server")) as base_url:
        yield base_url


def prints(snippet: Snippet) -> bool:
    """Tell whether a snippet shows an answer; some only set variables."""
    return not all(line.startswith("export ") for line in snippet.text.splitlines())


def shown(snippet: Snippet) -> str:
    """Give a snippet a name in the report."""
    return f"{snippet.page} {snippet.section} {snippet.text.split()[1]}"


PASTED = {
    snippet.text: snippet
    for section in [*sections("README.md"), *sections("docs/quick-start.md"), *RUN]
    for snippet in section.snippets
    if section.title not in ELSEWHERE and snippet.language in {*ALONE, "python"} and prints(snippet)
}


def ran(*command: str, folder: Path, **more: str) -> str:
    """Run a client in a home of its own; give what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**_clean(environment(folder)), "NO_PROXY": "127.0.0.1", **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def _clean(variables: Mapping[str, str]) -> dict[str, str]:
    """Leave out what points a client elsewhere, and what measures coverage: these programs have none of our code."""
    prefixes = ("OPENAI_", "CODEX_", "LANGCHAIN_", "LANGSMITH_", "COVERAGE_", "COV_CORE_")
    return {name: value for name, value in variables.items() if not name.startswith(prefixes)}


@pytest.mark.parametrize("snippet", [one for one in PASTED.values() if one.language in ALONE], ids=shown)
def test_what_stands_there_prints_an_answer(snippet: Snippet, demo: str, tmp_path: Path) -> None:
    """As it stands, but for the server's address."""
    (tmp_path / "node_modules").symlink_to(MODULES)
    file = tmp_path / f"snippet.{SUFFIX[snippet.language]}"
    file.write_text(snippet.at(demo))
    command = [part.format(file=file) for part in ALONE[snippet.language]]
    if not shutil.which("curl"):
        (tmp_path / "curl").write_text(CURL)
        (tmp_path / "curl").chmod(0o755)

    assert ANSWER in ran(*command, folder=tmp_path, PATH=f"{os.environ['PATH']}:{tmp_path}")


def test_the_python_that_stands_there_prints_answers(demo: str, tmp_path: Path) -> None:
    """As it stands, but for the server's address: the SDKs, and LangChain on both."""
    snippets = [snippet for snippet in PASTED.values() if snippet.language == "python"]
    files = [tmp_path / f"snippet_{number}.py" for number in range(len(snippets))]
    for file, snippet in zip(files, snippets, strict=True):
        file.write_text(snippet.at(demo))
    *printed, _ = ran(sys.executable, "-c", TOGETHER, *map(str, files), folder=tmp_path).split("\f\n")

    assert [shown(one) for one, answer in zip(snippets, printed, strict=True) if ANSWER not in answer] == []


def test_codex_answers_with_the_configuration_that_stands_there(demo: str, tmp_path: Path) -> None:
    """Written into its ``config.toml``; nothing else is set."""
    (snippet,) = CLIENTS["Codex CLI"].snippets
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text(snippet.at(demo))
    codex = str(codex_cli_bin.bundled_codex_path())

    assert ANSWER in ran(codex, "exec", "--skip-git-repo-check", "Hello", folder=tmp_path)


def test_claude_code_answers_with_the_line_that_stands_there(demo: str, tmp_path: Path) -> None:
    """With a prompt after it, since it would want a terminal."""
    (snippet,) = CLIENTS["Claude Code"].snippets
    (tmp_path / "claude").symlink_to(find_binary().path)
    path = f"{tmp_path}:{os.environ['PATH']}"
    line = f"{snippet.at(demo).rstrip()} -p Hello"

    assert ANSWER in ran("bash", "-c", line, folder=tmp_path, PATH=path, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1")


@pytest.mark.parametrize("section", CLIENTS.values(), ids=CLIENTS)
def test_each_section_says_how_far_it_was_tried(section: Section) -> None:
    """And those that say that tests run them have something that tests can run."""
    assert section.tried in (BY_TESTS, BY_HAND, NOT_RUN)
    if section.tried == BY_TESTS and section.title not in ELSEWHERE:
        run = [snippet for snippet in section.snippets if snippet.text in PASTED]
        assert run
        assert [one for one in section.snippets if one not in run and prints(one)] == []


def test_every_address_on_the_page_is_the_one_that_the_tests_replace() -> None:
    """Else a snippet would ask somebody else's server."""
    text = (ROOT / "docs/clients.md").read_text("utf-8").replace("https://your-tunnel.example/v1", "")

    assert text.count("127.0.0.1") == text.count("127.0.0.1:8317")
    assert "https://" not in text
    assert "localhost" not in text
