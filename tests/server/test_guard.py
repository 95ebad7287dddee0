"""Who may come in, decided on headers alone."""

from __future__ import annotations

import hashlib
import hmac
from types import SimpleNamespace

import pytest
from multidict import CIMultiDict

from claude_proxy.config.schema import Config
from claude_proxy.errors import Forbidden, Unauthorized
from claude_proxy.server.guard import allowed_origin, check_host, client_of, is_preflight, preflight_headers

OURS = Config(host="mybox.lan", allowed_hosts=("proxy.home:8317", "Other.Home"), cors_origins=("https://app.example/",))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8317",
        "localhost.:8317",
        "127.0.0.1:8317",
        "[::1]:8317",
        "[::1]",
        "192.168.1.20:8317",
        "[fe80::1]:8317",
        "host.docker.internal:8317",
        "mybox.lan:8317",
        "proxy.home:8317",
        "other.home",
    ],
)
def test_a_host_of_ours_passes(host: str) -> None:
    """Loopback names, IP literals, ``host`` and ``allowed-hosts`` are ours, on any port."""
    check_host(CIMultiDict({"Host": host}), OURS)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8317", "localhost.evil.example", "127.0.0.1.evil.example", "", "[evil]:1", "0x7f.1"],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    """A rebound DNS name reaches the port with its own Host, and is turned away."""
    with pytest.raises(Forbidden):
        check_host(CIMultiDict({"Host": host}), OURS)


def test_the_refusal_prints_the_line_to_add() -> None:
    """Who did mean this name is told how to allow it."""
    with pytest.raises(Forbidden, match=r'allowed-hosts: \["my\.name"\]'):
        check_host(CIMultiDict({"Host": "my.name:8317"}), Config())


def test_every_host_header_must_be_ours() -> None:
    """A second Host can't smuggle the first one in."""
    with pytest.raises(Forbidden):
        check_host(CIMultiDict([("Host", "localhost"), ("Host", "evil.example")]), Config())


def test_without_a_host_there_is_nothing_to_refuse() -> None:
    """Browsers always send one; HTTP/1.0 clients needn't."""
    check_host(CIMultiDict(), Config())


def test_with_keys_any_host_passes() -> None:
    """A rebound page has no key, so the name says nothing more."""
    check_host(CIMultiDict({"Host": "tunnel.example"}), Config(api_keys=("k",)))


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, None),
        ({"Host": "localhost:8317", "Origin": "http://localhost:8317"}, None),
        ({"Host": "LOCALHOST:8317", "Origin": "http://localhost:8317", "Sec-Fetch-Site": "same-origin"}, None),
        ({"Host": "localhost:8317", "Origin": "https://app.example"}, "https://app.example"),
        ({"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}, "https://app.example"),
        ({"Sec-Fetch-Site": "none"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
    ],
)
def test_origins_that_may_ask(headers: dict[str, str], origin: str | None) -> None:
    """No origin, our own, and the configured ones."""
    assert allowed_origin(CIMultiDict(headers), OURS) == origin


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8317", "Origin": "https://evil.example"},
        {"Host": "localhost:8317", "Origin": "http://localhost:3000"},
        {"Host": "localhost:8317", "Origin": "null"},
        {"Host": "", "Origin": "http://"},
        {"Host": "", "Origin": ""},
        {"Host": "localhost:8317", "Origin": "app://localhost:8317"},
        {"Host": "localhost:8317", "Origin": "https://app.example.evil.example"},
        {"Host": "localhost:8317", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_origins_that_may_not_ask(headers: dict[str, str]) -> None:
    """Another site, another port, an opaque origin, and a cross-site request that hides where it is from."""
    with pytest.raises(Forbidden):
        allowed_origin(CIMultiDict(headers), OURS)


def test_the_origin_refusal_prints_the_line_to_add() -> None:
    """Who did mean this page is told how to allow it."""
    with pytest.raises(Forbidden, match=r'cors-origins: \["app://obsidian.md"\]'):
        allowed_origin(CIMultiDict({"Origin": "app://obsidian.md"}), Config())


def test_a_star_allows_every_origin() -> None:
    """``cors-origins: ["*"]`` is the user's own choice."""
    assert allowed_origin(CIMultiDict({"Origin": "null"}), Config(cors_origins=("*",))) == "null"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer k2"},
        {"Authorization": "bearer   k2 "},
        {"x-api-key": "k2"},
        {"Authorization": "Bearer wrong", "x-api-key": "k2"},
        {"Authorization": "Basic abc", "x-api-key": "k2"},
    ],
)
def test_m07_a_key_is_taken_from_either_header(headers: dict[str, str]) -> None:
    """M07: Bearer and x-api-key are both accepted; the client is told apart by a digest."""
    assert client_of(CIMultiDict(headers), ("k1", "k2")) == hashlib.sha256(b"k2").hexdigest()


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer "}, {"Authorization": "k1"}, {"x-api-key": "k"}, {"x-api-key": "k1k2\udcff"}],
)
def test_a_missing_or_wrong_key_is_401(headers: dict[str, str]) -> None:
    """Nothing but a whole key opens."""
    with pytest.raises(Unauthorized) as caught:
        client_of(CIMultiDict(headers), ("k1", "k2"))
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


def test_a_key_is_compared_with_every_other_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither how long it takes nor where it stops says how near a guess was: digests, all of them, whichever fits."""
    compared = []

    def compare(theirs: str, ours: str) -> bool:
        compared.append((theirs, ours))
        return hmac.compare_digest(theirs, ours)

    monkeypatch.setattr("claude_proxy.server.guard.hmac", SimpleNamespace(compare_digest=compare))
    client_of(CIMultiDict({"Authorization": "Bearer k1", "x-api-key": "no"}), ("k1", "k2"))
    first, second, other = (hashlib.sha256(key).hexdigest() for key in (b"k1", b"k2", b"no"))
    assert compared == [(first, first), (first, second), (other, first), (other, second)]


def test_without_keys_anything_is_accepted() -> None:
    """SDKs insist on sending some key; it says nothing here."""
    assert client_of(CIMultiDict({"Authorization": "Bearer dummy"}), ()) == ""


def test_a_preflight_is_told_what_it_may() -> None:
    """What the page wants to send is echoed, private network access included."""
    headers = CIMultiDict(
        {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
            "Access-Control-Request-Private-Network": "true",
        }
    )
    assert is_preflight("OPTIONS", headers)
    answer = preflight_headers(headers)
    assert answer["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert answer["Access-Control-Allow-Private-Network"] == "true"


def test_a_preflight_asking_for_nothing_gets_the_methods() -> None:
    """A simple preflight is answered without header names, and an odd one isn't echoed."""
    asked = CIMultiDict({"Access-Control-Request-Headers": "a\u00e9"})
    assert set(preflight_headers(asked)) == {"Access-Control-Allow-Methods", "Access-Control-Max-Age"}
    assert not is_preflight("OPTIONS", CIMultiDict({"Origin": "https://app.example"}))
