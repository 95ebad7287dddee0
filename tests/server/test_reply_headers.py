"""The headers that tell what became of a request."""

from __future__ import annotations

from claude_proxy.server.headers import handed_on, lost, renamed, sent_on, server_timing


def test_losses_are_named_once_in_order() -> None:
    """A field is named once, however often it was lost."""
    assert lost(["seed", "logit_bias", "seed"]) == "seed, logit_bias"


def test_a_loss_can_not_break_out_of_its_header() -> None:
    """Field names are the client's own text: line ends, commas and other scripts are encoded."""
    assert lost(["a\r\nx-evil: 1", "b,c", "é", "\ud800"]) == "a%0D%0Ax-evil: 1, b%2Cc, %C3%A9, %3F"


def test_a_loss_keeps_its_path_readable() -> None:
    """The usual field paths stay as they are."""
    assert lost(["messages[0].content.detail"]) == "messages[0].content.detail"


def test_a_flood_of_losses_has_an_end() -> None:
    """Thousands of unknown fields don't make a header that no client can read."""
    rendered = lost(f"field_{n}_" + "x" * 500 for n in range(1000))
    assert len(rendered) < 5000
    assert rendered.endswith("and 960 more")


def test_timings_are_in_milliseconds() -> None:
    """``server-timing`` has its own unit."""
    assert server_timing({"queue": 0.0012, "total": 1.5}) == "queue;dur=1.2, total;dur=1500.0"


def test_upstream_headers_that_can_not_be_sent_are_left_out() -> None:
    """An upstream can't break our response."""
    assert handed_on({"x-a": "1", "x-b": "1\r\n", "x-c": "é"}) == {"x-a": "1"}


def test_losses_are_told_in_the_client_s_words() -> None:
    """A backend names our fields, a dialect knows what its clients call them."""
    assert renamed(["max_tokens", "seed"], {"max_tokens": "max_completion_tokens"}) == ["max_completion_tokens", "seed"]


def test_what_an_upstream_gets_of_a_request_s_headers() -> None:
    """All but what is this connection's, the client's credentials, or about a body that is unpacked by now."""
    received = [
        ("Anthropic-Version", "2023-06-01"),
        ("anthropic-beta", "a"),
        ("Anthropic-Beta", "b"),
        ("User-Agent", "sdk"),
        ("X-New", "kept"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
    ]
    dropped = (
        "Authorization x-api-key Api-Key Cookie Host Content-Length Content-Encoding Transfer-Encoding TE Expect "
        "Accept-Encoding Origin Referer Sec-Fetch-Site Proxy-Authorization X-Forwarded-For Forwarded Upgrade"
    )
    assert sent_on([*received, *((name, "secret") for name in dropped.split())]) == {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a, b",
        "user-agent": "sdk",
        "x-new": "kept",
    }
