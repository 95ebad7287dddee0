"""Logs: one record one line, for people or machines, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from claude_proxy.server.exchange import CURRENT, Exchange
from claude_proxy.server.logs import _JsonFormatter, masked, set_up_logging

LOG = logging.getLogger("claude_proxy.test")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _fail(message: str) -> None:
    raise ValueError(message)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was."""
    root, ours = logging.getLogger(), logging.getLogger("claude_proxy")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key sk-ant-api03-abc_DEF-123 here", "key sk-*** here"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("'x-api-key': 'abc', 'a': 1", "'x-api-key': '***', 'a': 1"),
        ("api_key=abc def", "api_key=*** def"),
        ("authorization: Basic", "authorization: ***"),
        ("use cp-9k2_fD83jdk3-29dkeJd93kdOe2jd9Ak to come in", "use cp-*** to come in"),
        ("a gsk_abcdefghijklmnopqrstuvwxyz", "a gsk_***"),
        ("CLAUDE_CODE_OAUTH_TOKEN=abc", "CLAUDE_CODE_OAUTH_TOKEN=***"),
        ('{"password": "abc"}', '{"password": "***"}'),
        ("socks5://me:hunter2@proxy:1080/", "socks5://me:***@proxy:1080/"),
        ("'max_tokens': 100, http://127.0.0.1:80/a@b", "'max_tokens': 100, http://127.0.0.1:80/a@b"),
        ("a risk-free sentence about a bearer", "a risk-free sentence about a bearer"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, expected: str) -> None:
    """Keys and tokens never get into a log, and other words stay."""
    assert masked(text) == expected


def test_json_is_one_object_a_line() -> None:
    """Line ends in a message can't forge a second record; secrets are masked in it, too."""
    stream = io.StringIO()
    set_up_logging("json", logging.INFO, stream)
    LOG.info('first\n{"forged": "Bearer abc\\"}', extra={"fields": {"status": 200, "path": "/sk-abcdefgh"}})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["message"] == 'first\n{"forged": "Bearer ***"}'
    assert (entry["level"], entry["logger"]) == ("info", "claude_proxy.test")
    assert (entry["status"], entry["path"]) == (200, "/sk-***")
    assert entry["time"].endswith("+00:00")
    assert "request_id" not in entry


def test_json_names_the_request() -> None:
    """What is logged while a request is handled can be found by its id."""
    stream = io.StringIO()
    set_up_logging("json", "INFO", stream)
    token = CURRENT.set(Exchange(id="req_1"))
    LOG.warning("odd")
    CURRENT.reset(token)
    assert json.loads(stream.getvalue())["request_id"] == "req_1"


def test_json_keeps_a_traceback_on_the_line() -> None:
    """A failure is one object with everything in it."""
    stream = io.StringIO()
    set_up_logging("json", logging.INFO, stream)
    try:
        _fail("sk-abcdefgh")
    except ValueError:
        LOG.exception("failed")
    entry = json.loads(stream.getvalue())
    assert "ValueError: sk-***" in entry["traceback"]


def test_what_can_not_be_encoded_is_replaced() -> None:
    """A file name that is no UTF-8 doesn't lose the line."""
    record = logging.makeLogRecord({"msg": "no file \ud800"})
    assert json.loads(_JsonFormatter().format(record))["message"] == "no file ?"


def test_a_line_for_people_can_not_be_forged() -> None:
    """Control characters are escaped, those of terminals included."""
    stream = io.StringIO()
    set_up_logging("rich", logging.INFO, stream)
    LOG.info("one\ntwo \x1b[31mred sk-abcdefgh")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r"INFO claude_proxy.test: one\ntwo \x1b[31mred sk-***")


NASTY = "a\r\nb\x00\x1b[2J\x9b1m\u2028\u2029\x85\u202ec\u200bd\u2066\ufeff"


@pytest.mark.parametrize("log_format", ["rich", "json"])
def test_nothing_that_a_client_says_acts_on_who_reads_the_log(log_format: Literal["rich", "json"]) -> None:
    """Line ends of any kind, terminals' controls, text that turns around or hides what stands beside it."""
    stream = io.StringIO()
    set_up_logging(log_format, logging.INFO, stream)
    LOG.info("model=%s", NASTY, extra={"fields": {"model": NASTY}})
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()


def test_a_failure_s_own_lines_can_not_pass_for_records() -> None:
    """They are set in, as no record is."""
    stream = io.StringIO()
    set_up_logging("rich", logging.INFO, stream)
    try:
        _fail("odd\n2026-01-01 00:00:00,000 INFO claude_proxy.access: GET /forged 200")
    except ValueError:
        LOG.exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("failed")
    assert all(line.startswith("    ") for line in rest)


def test_a_traceback_for_people_has_its_lines() -> None:
    """A traceback is read line by line, masked all the same."""
    stream = io.StringIO()
    set_up_logging("rich", logging.INFO, stream)
    try:
        _fail("sk-abcdefgh")
    except ValueError:
        LOG.exception("failed")
    assert stream.getvalue().splitlines()[-1] == "    ValueError: sk-***"


def test_on_a_terminal_rich_writes() -> None:
    """People at a terminal get the level in colour, and no markup is read from messages."""
    stream = _Terminal()
    set_up_logging("rich", logging.INFO, stream)
    LOG.info("a [bold]message[/bold]")
    assert "a [bold]message[/bold]" in stream.getvalue()


def test_levels() -> None:
    """Ours from the level on; other libraries only where something is wrong."""
    stream = io.StringIO()
    set_up_logging("json", "WARNING", stream)
    LOG.info("quiet")
    logging.getLogger("other").info("quiet")
    logging.getLogger("other").warning("loud")
    assert len(stream.getvalue().splitlines()) == 1


def test_setting_up_again_replaces() -> None:
    """A reloaded config doesn't log everything twice."""
    stream = io.StringIO()
    set_up_logging("rich", logging.INFO, stream)
    set_up_logging("json", logging.INFO, stream)
    LOG.info("once")
    assert len(stream.getvalue().splitlines()) == 1
