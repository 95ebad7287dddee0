"""What ``serve`` shows, rendered on narrow and wide terminals."""

import io
import re
from typing import Any

import pytest
from rich.console import Console, RenderableType

from claude_proxy.backends.base import Health, Model
from claude_proxy.cli import screen
from claude_proxy.cli.screen import Answer

URL = "http://127.0.0.1:8317"
MODELS = (
    Model(id="claude-opus-5", display_name="Opus", aliases=("opus", "default")),
    Model(id="claude-sonnet-5", display_name="Sonnet"),
)
READY = Answer("claude-cli", Health(ready=True, detail="claude CLI 9.9.9", account="me (max)", version="9.9.9"), MODELS)
SIGNED_OUT = Answer("claude-cli", Health(ready=False, detail="not signed in: run `claude-proxy login`"), ())


def render(renderable: RenderableType, width: int = 80, *, soft_wrap: bool = False) -> str:
    """Give the text on a terminal of some width."""
    written = io.StringIO()
    Console(file=written, width=width).print(renderable, soft_wrap=soft_wrap)
    return written.getvalue()


def listening(width: int = 80, *, demo: bool = False, everywhere: bool = False) -> str:
    """Render the box with the addresses."""
    return render(screen.listening(URL, demo=demo, everywhere=everywhere), width)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_is_there_to_paste_stays_whole(width: int) -> None:
    """No fold in what is copied, whatever the width."""
    text = render(screen.paste(URL, keys=False, model="sonnet"), width, soft_wrap=True)

    assert text.split("\n") == [
        "",
        f"export OPENAI_BASE_URL={URL}/v1",
        "export OPENAI_API_KEY=unused",
        "curl $OPENAI_BASE_URL/chat/completions -H 'Content-Type: application/json' \\",
        """  -d '{"model": "sonnet", "messages": [{"role": "user", "content": "Hello"}]}'""",
        "",
        f"export ANTHROPIC_BASE_URL={URL}",
        "export ANTHROPIC_API_KEY=unused",
        "",
        "",
    ]


def test_both_base_urls_are_shown() -> None:
    """OpenAI's base URL ends with ``/v1``, Anthropic's doesn't, on 80 columns."""
    text = listening()

    assert re.search(rf"Anthropic +{URL} ", text)
    assert re.search(rf"OpenAI +{URL}/v1 ", text)
    assert max(map(len, text.splitlines())) <= 80


def test_with_keys_the_lines_say_so_and_show_none() -> None:
    """A key of the configuration is never on the screen."""
    text = str(screen.paste(URL, keys=True, model="sonnet"))

    assert "export OPENAI_API_KEY='one of your api-keys'\n" in text
    assert '  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n' in text
    assert "export ANTHROPIC_API_KEY='one of your api-keys'\n" in text


def test_nothing_to_paste_is_wider_than_a_terminal() -> None:
    """What a usual terminal folds is hard to copy: 80 columns hold each line, with keys or without."""
    both = [str(screen.paste(URL, keys=keys, model="sonnet")) for keys in (False, True)]

    assert max(len(line) for text in both for line in text.splitlines()) <= 80


def test_the_demo_says_what_it_is() -> None:
    """Nobody takes the simulator for Claude."""
    assert "demo: a built-in simulator answers, nothing leaves this machine" in listening(demo=True)
    assert "demo" not in listening()


def test_a_reachable_server_says_so() -> None:
    """Who can connect is worth a line."""
    assert "every address of this machine" in listening(everywhere=True)


def test_a_backend_that_is_ready_says_for_whom_and_with_what() -> None:
    """The version, the account and the names to ask for."""
    text = render(screen.backends([READY]))

    assert "claude-cli  ready   claude CLI 9.9.9, signed in: me (max)" in text
    assert "models  opus, default, claude-sonnet-5" in text


def test_names_are_shown_as_they_are_asked_for() -> None:
    """A profile's models have its name in front, for people and machines."""
    work = (Model("claude-sonnet-5", "S", aliases=("sonnet",), prefix="work"), Model("x", "X", prefix="work"))
    answer = Answer("claude-cli/work", Health(ready=True, detail="d"), work)

    assert "models  work/sonnet, work/x" in render(screen.backends([answer]))
    line: Any = screen.backends_line([answer])
    assert line["backends"][0]["models"] == ["work/claude-sonnet-5", "work/x"]


def test_a_backend_that_is_not_ready_says_what_to_do() -> None:
    """And lists no models."""
    text = render(screen.backends([SIGNED_OUT]))

    assert "claude-cli  not ready  not signed in: run `claude-proxy login`" in text
    assert "models" not in text


def test_a_backend_that_can_not_list_its_models_says_why() -> None:
    """It may answer all the same."""
    health = Health(ready=True, detail="claude CLI 9.9.9")

    assert "models  it is slow" in render(screen.backends([Answer("claude-cli", health, "it is slow")]))


def test_many_models_are_counted() -> None:
    """The screen stays small."""
    many = tuple(Model(id=f"m{i}", display_name="") for i in range(11))
    text = render(screen.backends([Answer("x", Health(ready=True, detail=""), many)]))

    assert "m0, m1, m2, m3, m4, m5, m6, m7 and 3 more" in text


def test_the_lines_for_machines() -> None:
    """The same facts as data."""
    assert screen.listening_line(URL, demo=True) == {
        "event": "listening",
        "version": "0.1.0",
        "demo": True,
        "openai_base_url": f"{URL}/v1",
        "anthropic_base_url": URL,
    }
    failed = Answer("x", Health(ready=True, detail="d"), "it is slow")
    assert screen.backends_line([READY, failed]) == {
        "event": "backends",
        "backends": [
            {
                "name": "claude-cli",
                "ready": True,
                "detail": "claude CLI 9.9.9",
                "account": "me (max)",
                "version": "9.9.9",
                "models": ["claude-opus-5", "claude-sonnet-5"],
            },
            {"name": "x", "ready": True, "detail": "d", "account": None, "version": None, "models": []},
        ],
    }
