"""A stand-in for the CLI that answers at once, so that a soak is about our server: what it is told, it does.

Run as a script of its own, imports nothing of ours. The last words of a message say what is wanted: see :func:`reply`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

Json = dict[str, Any]

VERSION = "2.1.329"
MODEL = "claude-sonnet-4-6"
_OFFERED = {"value": "sonnet", "resolvedModel": MODEL, "displayName": "Stand-in", "supportsThinkingOff": True}
_SLOW_SECONDS = 0.15
_YARDSTICK_TOKENS = {"full": 1500, "summary": 750}
"""What all tools together are counted and estimated as: see ``counting``, which looks for a difference."""


def install(folder: Path) -> Path:
    """Make an executable of this file in ``folder``; give its path."""
    script = folder / "claude"
    script.write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text()}")
    script.chmod(0o755)
    return script


def say(*lines: Json) -> None:
    """Write lines, all at once."""
    sys.stdout.write("".join(json.dumps(line) + "\n" for line in lines))
    sys.stdout.flush()


def event(**fields: Any) -> Json:
    """Give a streaming event."""
    return {"type": "stream_event", "event": fields, "parent_tool_use_id": None}


def result(**fields: Any) -> Json:
    """Give the line that ends what a message began."""
    return {"type": "result", "subtype": "success", "is_error": False, "result": "", "modelUsage": {}, **fields}


class Cli:
    """One process: the tools of its client, and what it has read and not yet dealt with."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.tools: list[str] = []
        self.later: deque[Json] = deque()
        self.asked = 0

    def run(self) -> None:
        """Ask for the tools, and answer line by line, until there are no more."""
        self.list_tools()
        while (line := self.later.popleft() if self.later else read()) is not None:
            if line["type"] == "control_request":
                self.control(line["request_id"], line["request"])
            elif line["type"] == "user":
                if line.get("shouldQuery", True):
                    self.reply(line["message"]["content"])
                else:
                    say(result())

    def ask(self, **message: Any) -> Json:
        """Ask the server, and give what it answers; what comes before that is dealt with later."""
        self.asked += 1
        name = f"q{self.asked}"
        rpc = {"jsonrpc": "2.0", "id": self.asked, **message}
        say(
            {
                "type": "control_request",
                "request_id": name,
                "request": {"subtype": "mcp_message", "server_name": "client", "message": rpc},
            }
        )
        while (line := read()) is not None:
            if line["type"] == "control_response" and line["response"]["request_id"] == name:
                answer: Json = line["response"]["response"]["mcp_response"]["result"]
                return answer
            self.later.append(line)
        sys.exit()

    def control(self, number: str, request: Json) -> None:
        """Answer a control request."""
        answer: Json = {"models": [_OFFERED]}
        if request["subtype"] == "get_context_usage":
            answer = self.usage(request["detail"])
        say(
            {
                "type": "control_response",
                "response": {"subtype": "success", "request_id": number, "response": answer},
            }
        )
        if request["subtype"] == "mcp_message":  # the tools have changed
            self.list_tools()

    def list_tools(self) -> None:
        """Ask what tools there are."""
        self.tools = [tool["name"] for tool in self.ask(method="tools/list")["tools"]]

    def usage(self, detail: str) -> Json:
        """Say how large the conversation is."""
        tokens = {"messages": 7, "system_prompt": 3, "mcp_tools": _YARDSTICK_TOKENS[detail]}
        return {
            "categories": [{"id": name, "tokens": count} for name, count in tokens.items()],
            "mcpTools": [{"name": name} for name in self.tools],
        }

    def reply(self, content: list[Json]) -> None:
        """Do what the message wants: ``call`` a tool, ``json``, ``slowly``, ``fail`` with a status; else repeat it."""
        words = " ".join(block.get("text", "") for block in content)
        say({"type": "system", "subtype": "init", "tools": self.tools})
        if self.model not in {MODEL, _OFFERED["value"]}:
            say(result(is_error=True, api_error_status=404, result=f"API Error: 404 model: {self.model}"))
        elif words.startswith("fail"):
            say(result(is_error=True, api_error_status=int(words.split()[1]), result="API Error: out of luck"))
        elif words.startswith("call"):
            self.call()
        elif words.startswith("json"):
            say(*text('{"city": "', "Bern", '"}'))
        else:
            begin, *rest = text("You wrote: ", words)
            say(begin, *rest[:2])
            if words.startswith("slowly"):
                time.sleep(_SLOW_SECONDS)
            say(*rest[2:])

    def call(self) -> None:
        """Call the first tool, wait for its result, and say what it was."""
        use = {"type": "tool_use", "id": f"toolu_{os.getpid()}_{self.asked}", "name": self.tools[0], "input": {}}
        say(*message(use, [{"type": "input_json_delta", "partial_json": "{}"}], "tool_use"))
        params = {"name": self.tools[0], "arguments": {}, "_meta": {"claudecode/toolUseId": use["id"]}}
        answer = self.ask(method="tools/call", params=params)
        say(*text("Your tool said: ", answer["content"][0]["text"]))


def text(*parts: str) -> list[Json]:
    """Give a whole reply of one text, and the end of the turn."""
    deltas = [{"type": "text_delta", "text": part} for part in parts]
    return [*message({"type": "text", "text": ""}, deltas, "end_turn"), result()]


def message(block: Json, deltas: list[Json], stop_reason: str) -> list[Json]:
    """Give a whole reply of one block."""
    begin = {"id": "msg_1", "model": MODEL, "usage": {"input_tokens": 10, "output_tokens": 1}}
    return [
        event(type="message_start", message=begin),
        event(type="content_block_start", index=0, content_block=block),
        *(event(type="content_block_delta", index=0, delta=delta) for delta in deltas),
        event(type="content_block_stop", index=0),
        event(type="message_delta", delta={"stop_reason": stop_reason}, usage={"output_tokens": 5}),
        event(type="message_stop"),
    ]


def read() -> Json | None:
    """Give the next line; ``None``: there is none."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def main() -> None:
    """Be the CLI."""
    if "--version" in sys.argv:
        sys.stdout.write(f"{VERSION} (Claude Code)\n")
    elif "auth" in sys.argv:
        say({"loggedIn": True, "authMethod": "stand-in"})
    else:
        Cli(sys.argv[sys.argv.index("--model") + 1].partition(" ")[0]).run()


if __name__ == "__main__":
    main()
