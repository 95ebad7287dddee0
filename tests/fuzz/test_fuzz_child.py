"""A child that says anything: in any order, doubled, cut anywhere, mangled, huge. The turn ends, once, or goes on."""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

from fuzzed_server import Complaints
from fuzzing import EXAMPLES, tried
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.turns import Turns
from claude_proxy.canon.events import MessageStop
from claude_proxy.canon.grammar import Grammar
from claude_proxy.errors import ProxyError
from claude_proxy.framing import Lines

LONGEST_LINE = 1 << 14

Json = Any


def event(kind: str, **fields: Json) -> Json:
    """Give a line that carries an event of the upstream's."""
    return {"type": "stream_event", "event": {"type": kind, **fields}, "parent_tool_use_id": None}


def asks(method: str, **params: Json) -> Json:
    """Give a line of the child's MCP client."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return {
        "type": "control_request",
        "request_id": "q",
        "request": {"subtype": "mcp_message", "server_name": "client", "message": message},
    }


TEXT, CALL, NUMBER = {"type": "text", "text": ""}, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}, {"a": 1}
RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "Hi", "modelUsage": {"m": NUMBER}}
SAID: list[Json] = [
    {"type": "system", "subtype": "init", "tools": []},
    {"type": "system", "subtype": "init", "tools": ["f"]},
    event("message_start", message={"id": "m", "model": "x", "content": [], "usage": {"input_tokens": 1}}),
    event("content_block_start", index=0, content_block=TEXT),
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi 👋"}),
    event("content_block_stop", index=0),
    event("content_block_start", index=1, content_block=CALL),
    event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"a":'}),
    event("content_block_stop", index=1),
    event("content_block_start", index=0, content_block={"type": "new", "x": [1]}),
    event("content_block_delta", index=0, delta={"type": "new_delta", "x": 1}),
    event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 9}),
    event("message_delta", delta={"stop_reason": None}, usage={}),
    event("message_stop"),
    event("ping"),
    event("error", error={"type": "overloaded_error", "message": "no"}),
    {"type": "assistant", "message": {"stop_reason": None}, "error": "rate_limit", "parent_tool_use_id": None},
    {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1, "unifiedWindows": NUMBER}},
    RESULT,
    {**RESULT, "is_error": True, "api_error_status": 529, "result": "API Error: Overloaded"},
    {"type": "control_response", "response": {"subtype": "success", "request_id": "r1", "response": {}}},
    {"type": "control_response", "response": {"subtype": "error", "request_id": "r1", "error": "no"}},
    asks("initialize", protocolVersion="1"),
    asks("tools/list"),
    asks("tools/call", name="f", _meta={"claudecode/toolUseId": "t1"}),
    {"type": "control_request", "request_id": "q", "request": {"subtype": "can_use_tool"}},
    {"type": "control_cancel_request", "request_id": "q"},
    {"type": "tool_progress", "tool_use_id": "t1"},
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Json, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the way to each value inside one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, one in inner for place in places(one, (*way, key)))]


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Give a line: one that the CLI writes, one with a value in it exchanged or taken out, or one mangled or cut."""
    said = copy.deepcopy(draw(st.sampled_from(SAID)))
    match draw(st.integers(0, 9)):
        case 0 | 1:
            *way, last = draw(st.sampled_from(places(said)[1:]))
            inside = said
            for key in way:
                inside = inside[key]
            if draw(st.booleans()):
                inside[last] = draw(VALUES)
            else:
                del inside[last]
        case 2:
            raw = json.dumps(said, ensure_ascii=False).encode()
            at = draw(st.integers(0, len(raw)))
            return raw[:at] + draw(st.binary(max_size=4)).replace(b"\n", b"") + raw[draw(st.integers(0, len(raw))) :]
        case 3:
            return draw(st.binary(max_size=30)).replace(b"\n", b"")
    return json.dumps(said, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


class Talk(RuleBasedStateMachine):
    """We ask, it says whatever it likes, and what it says arrives in whatever pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints = Complaints()
        logging.getLogger("claude_proxy").addHandler(self.complaints)
        self.child = Child((), {}, "/")
        self.child._lines = Lines(limit=LONGEST_LINE)
        self.child.on_limits = lambda _: None
        self.pipe = b""
        self.too_long = False
        self.grammar, self.has_ended = Grammar(), True

    def teardown(self) -> None:
        """Stop listening to the log."""
        logging.getLogger("claude_proxy").removeHandler(self.complaints)

    @initialize(tools=st.booleans())
    def prepare(self, *, tools: bool) -> None:
        """Tell it what it has."""
        self.child.prepare("be kind", [{"name": "f", "inputSchema": {"type": "object"}}] if tools else [])

    @rule()
    def ask(self) -> None:
        """Begin a turn."""
        self.child.turns.ask()
        self.grammar, self.has_ended = Grammar(), False

    @rule()
    def answer_its_calls(self) -> None:
        """Go on with a turn."""
        self.child.turns.resume()
        self.grammar, self.has_ended = Grammar(), False

    @rule()
    def inject(self) -> None:
        """Tell it of the past."""
        self.child.turns.inject()

    @rule()
    def give_up(self) -> None:
        """Leave it."""
        self.child.turns.give_up()
        self.has_ended = True

    @rule(said=st.lists(lines(), min_size=1, max_size=12))
    def say(self, said: list[bytes]) -> None:
        """Write lines, which aren't read yet."""
        self.pipe += b"".join(line + b"\n" for line in said)

    @rule()
    def say_a_whole_reply(self) -> None:
        """Write what it should."""
        self.say([json.dumps(SAID[number]).encode() for number in (0, 2, 3, 4, 5, 11, 13, 18)])

    @rule(times=st.integers(2, 3))
    def say_it_again(self, times: int) -> None:
        """Write what is in the pipe once more."""
        self.pipe = (self.pipe * times)[: 1 << 18]

    @precondition(lambda self: not self.too_long)
    @rule()
    def say_without_end(self) -> None:
        """Write a line that is too long for any."""
        self.pipe += b"x" * (LONGEST_LINE + 1)
        self.too_long = True

    @rule(size=st.integers(1, 700))
    def hear(self, size: int) -> None:
        """Read some of it."""
        piece, self.pipe = self.pipe[:size], self.pipe[size:]
        self.child._read_output(piece)
        self.look()

    @rule()
    def hear_all(self) -> None:
        """Read all of it."""
        self.hear(len(self.pipe) or 1)

    def look(self) -> None:
        """Take what the turn was given."""
        while not self.child._events.empty():
            found = self.child._events.get_nowait()
            if isinstance(found, ProxyError):
                # A child that is lost says so once more, to whoever may wait.
                self.has_ended = True
                assert self.child.spoiled
                continue
            assert not self.has_ended
            self.grammar.check(found)
            self.has_ended = type(found) is MessageStop

    @invariant()
    def nothing_is_amiss(self) -> None:
        """Whatever is said, nothing of ours breaks, and it is only lost where a line has no end."""
        assert self.complaints.lines == []
        assert self.too_long or not self.child.gone

    @invariant()
    def what_is_written_is_json(self) -> None:
        """A line a message, whatever it was asked."""
        written = b"".join(self.child._unwritten)
        assert all(isinstance(json.loads(line), dict) for line in written.splitlines())

    @invariant()
    def a_turn_that_has_ended_is_over(self) -> None:
        """Then nobody waits for it."""
        assert not (self.has_ended and self.child.turns.active)


def test_the_lines_above_make_a_reply() -> None:
    """Else the machine would only ever see noise."""
    turns = Turns()
    turns.ask()
    signs = [sign for line in SAID[:6] + SAID[11:14:2] for sign in turns.feed(json.dumps(line).encode())]
    assert isinstance(signs[-1], MessageStop)


TestTalk = Talk.TestCase
TestTalk.settings = tried(40, stateful_step_count=60 if EXAMPLES else 30)
