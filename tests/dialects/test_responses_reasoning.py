"""Reasoning on its way to a Responses client and back."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.canon.blocks import RedactedThinking, Thinking
from claude_proxy.dialects.responses_reasoning import seal, unseal


@given(
    st.builds(Thinking, thinking=st.text(), signature=st.text(min_size=1)) | st.builds(RedactedThinking, data=st.text())
)
def test_r04_what_is_sealed_comes_back_unchanged(block: Thinking | RedactedThinking) -> None:
    """R04: text and signature, byte for byte."""
    sealed = seal(block)
    assert sealed is not None
    assert sealed.isascii()
    assert unseal(sealed) == block


def test_r04_thinking_that_nobody_signed_isnt_sealed() -> None:
    """R04: the upstream would refuse it."""
    assert seal(Thinking(thinking="so")) is None


def encoded(text: bytes) -> str:
    """Give such a text as one of ours is put."""
    return "claude-proxy.1." + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "gAAAAABo",
        "claude-proxy.2.e30=",
        "claude-proxy.1.",
        "claude-proxy.1.é",
        "claude-proxy.1.e",
        encoded(b"{"),
        encoded(b"[]"),
        encoded(b"{}"),
        encoded(b"[" * 100_000),
        encoded(b'{"type": "text", "text": "x"}'),
        encoded(b'{"type": "thinking"}'),
    ],
)
def test_r04_what_isnt_ours_is_nothing(foreign: str) -> None:
    """R04: another provider's, another version's, or broken."""
    assert unseal(foreign) is None
