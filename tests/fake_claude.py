"""A scripted stand-in for the CLI, for the faults that the real one can't be made to have.

``$FAKE`` chooses the fault. Everything else is what the real one does for a simple turn: see :func:`answer`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

MODEL = {"value": "sonnet", "resolvedModel": "claude-fake-1", "displayName": "Fake", "supportsThinkingOff": True}

HOARD: list[bytearray] = []


def install(folder: Path) -> str:
    """Make an executable of this file in ``folder``; give its path."""
    script = folder / "claude"
    script.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
    script.chmod(0o755)
    return str(script)


def say(line: dict[str, Any]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def control(request: dict[str, Any], **response: Any) -> None:
    """Answer a control request."""
    answer = {"subtype": "success", "request_id": request["request_id"], **response}
    say({"type": "control_response", "response": answer})


def event(**fields: Any) -> None:
    """Write one streaming event."""
    say({"type": "stream_event", "event": fields, "parent_tool_use_id": None})


def reply(text: str, *, before_end: Any = lambda: None) -> None:
    """Stream a whole reply of one text block, and end the turn."""
    say({"type": "system", "subtype": "init", "tools": []})
    event(type="message_start", message={"id": "msg_1", "model": "claude-fake-1", "usage": {"input_tokens": 1}})
    event(type="content_block_start", index=0, content_block={"type": "text", "text": ""})
    event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    before_end()
    event(type="content_block_stop", index=0)
    event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
    event(type="message_stop")
    say({"type": "result", "subtype": "success", "is_error": False, "result": text, "modelUsage": {}})


def half_a_line() -> None:
    """Die in the middle of a line."""
    sys.stdout.write('{"type":"stream_event","event":{"type":"content_block_del')
    sys.stdout.flush()
    os._exit(1)


def noise() -> None:
    """Write what isn't ours to understand, on both outputs."""
    sys.stderr.write("x" * 1_000_000)
    sys.stderr.flush()
    for line in ("not json", "[1, 2]", "{", '{"type": 7}', '{"type": "tomorrow"}', '{"type":"system","event":"s"}', ""):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def ask(fault: str) -> None:
    """Answer a user's message."""
    match fault:
        case "half":
            reply("begun", before_end=half_a_line)
        case "noise":
            noise()
            reply("after the noise", before_end=noise)
        case "grows":
            hoard = bytearray(os.urandom(1)) * 150_000_000
            reply(f"I hold {len(hoard)} bytes", before_end=lambda: time.sleep(float(os.environ.get("PAUSE", "0"))))
            HOARD.append(hoard)
        case "huge":
            reply("h" * 50_000_000)
        case "silent end":
            say({"type": "result", "subtype": "success", "is_error": False, "result": ""})
        case _:
            reply("fine")


def usage(line: dict[str, Any], fault: str) -> None:
    """Say how large a conversation of one token is, without any tools of a client's."""
    full = line["request"]["detail"] == "full"
    if fault == "counting refused":
        control(line, subtype="error", error="no such request")
    elif full and fault == "dies counting":
        os._exit(1)
    elif full and fault == "hangs counting":
        time.sleep(600)
    else:
        tools = 1500 if full and fault != "estimates" else 750
        parts = [{"id": "messages", "tokens": 1}, {"id": "mcp_tools", "tokens": tools}]
        names = [] if fault == "no tools" else ["claude_proxy_yardstick"]
        control(line, response={"categories": parts, "mcpTools": [{"name": name} for name in names]})


def answer(line: dict[str, Any], fault: str) -> None:
    """Answer one line of stdin."""
    kind = line["type"]
    if kind == "user":
        if line.get("shouldQuery", True):
            ask(fault)
        elif fault != "no history":
            failed = fault == "history refused"
            say({"type": "result", "subtype": "success", "is_error": failed, "result": "no", "api_error_status": 400})
    elif kind == "control_request":
        subtype = line["request"]["subtype"]
        if subtype == "apply_flag_settings" and fault == "settings refused":
            control(line, subtype="error", error="no such setting")
        elif subtype == "list_models" and fault == "older":
            control(line, subtype="error", error="unknown request")
        elif subtype == "list_models" and fault == "no models":
            control(line, response={"models": []})
        elif subtype == "get_context_usage":
            usage(line, fault)
        else:
            control(line, response={"models": [MODEL]})


def main() -> None:
    """Be the CLI."""
    fault = os.environ.get("FAKE", "")
    if "--version" in sys.argv:
        sys.stdout.write("2.1.329 (Claude Code)\n")
        return
    if fault == "exits":
        sys.stderr.write("some warning\ncannot start: out of luck\n")
        sys.exit(3)
    if fault == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "hangs":
        time.sleep(600)
    if fault == "noise":
        noise()
    for line in sys.stdin:
        answer(json.loads(line), fault)
    if fault == "stubborn":
        time.sleep(600)


if __name__ == "__main__":
    main()
