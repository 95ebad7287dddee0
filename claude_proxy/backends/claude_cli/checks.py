"""What the probe checks: each a small conversation with the CLI, and a look at what arrived upstream of it.

A check gives what was wrong, as a line for people, or ``None``. Those of one group share a child, in their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping

from claude_proxy.backends.claude_cli.scene import Scene, assistant, difference, plain, user
from claude_proxy.canon.blocks import AnyBlock, Image, Json, Source, Text, Thinking, ToolResult, ToolUse
from claude_proxy.canon.collect import Reply as Collected
from claude_proxy.canon.request import Reasoning, Tool, ToolChoice
from claude_proxy.errors import Overloaded, ProxyError, RateLimited
from claude_proxy.simulator import error, text, thinking, tool_calls

_PATIENCE_SECONDS = 5.0
"""How long what the CLI does by itself may take."""

_TODAY = "sonnet"
_OLDER = "claude-sonnet-4-5-20250929"
"""A model that takes every parameter."""

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_COMMANDS = ("/clear", "/compact", "!ls", "# note")
_NO_INPUT: Json = {"type": "object", "properties": {}}
_CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# One has the name of a tool of the CLI's own.
_TOOLS = (
    Tool(name="Bash", description="Look around.", input_schema=_NO_INPUT),
    Tool(name="get_weather", description="The weather of a city.", input_schema=_CITY),
)
_PARAMETERS: Json = {"max_tokens": 777, "temperature": 0.25, "top_k": 7, "stop_sequences": ["END", "STOP"]}
_FORCED: Json = {"type": "any"}

_PICTURE = Image(source=Source(type="base64", media_type="image/png", data=_PNG))
_HISTORY = (
    user("look", _PICTURE),
    assistant(
        Text(text="I see."),
        ToolUse(id="toolu_1", name="old_tool", input={"city": "Rome"}),
        ToolUse(id="toolu_2", name="old_tool", input={}),
    ),
    user(
        ToolResult(tool_use_id="toolu_1", content=(Text(text="sunny"), _PICTURE)),
        ToolResult(tool_use_id="toolu_2", content=(Text(text="no such city"),), is_error=True),
    ),
    assistant(Text(text="Well.")),
)


async def _history(scene: Scene) -> str | None:
    words = (f"@{scene.file}", *_COMMANDS)
    odd = tuple(message for word in words for message in (user(word), assistant(Text(text="ok"))))
    last = user(f"see @{scene.file} please")
    await scene.begin(text("Fine."), *_HISTORY, *odd, last, system=(Text(text=f"Mind @{scene.file}"),))
    if problem := _requests(scene, 1):
        return problem
    return difference(scene.told[: len(_HISTORY)], plain(_HISTORY))


async def _at_path(scene: Scene) -> str | None:
    if scene.secret in str(scene.bodies):
        return "the content of a file that was only named arrived"
    if f"Mind @{scene.file}" not in str(scene.body.get("system")):
        return "the system prompt didn't arrive as it was"
    wanted = [user(f"@{scene.file}"), user(f"see @{scene.file} please")]
    return difference([turn for turn in scene.told if str(scene.file) in str(turn)], plain(tuple(wanted)))


async def _slash(scene: Scene) -> str | None:
    turns = {word: plain((user(word),)) for word in _COMMANDS}
    missing = [word for word, (turn,) in turns.items() if turn not in scene.told]
    if missing:
        return f"{', '.join(missing)} didn't arrive in history"
    for word, turn in turns.items():
        if caught := await _failure(scene, scene.follow(text("Fine."), word)):
            return f"{word} wasn't asked upstream: {caught}"
        if problem := difference(scene.told[-1:], turn):
            return problem
    return None


async def _next_turn(scene: Scene) -> str | None:
    before = len(scene.bodies)
    await scene.follow(text("Fine."), "and then?")
    if problem := _requests(scene, before + 1):
        return problem
    return difference(scene.told, plain(scene.messages[:-1]))


async def _thinking(scene: Scene) -> str | None:
    thought = thinking("Let me see.", "Done.", signature="c2lnbmVk")
    reply = await scene.follow(thought, "think", reasoning=Reasoning(mode="on", visible=True))
    asked = {"type": "adaptive", "display": "summarized"}
    block = Thinking(thinking="Let me see.", signature="c2lnbmVk")
    return difference(scene.body.get("thinking"), asked) or difference(reply.content[:1], (block,))


async def _effort(scene: Scene) -> str | None:
    found = []
    for reasoning in (Reasoning(mode="on", effort="low"), Reasoning()):
        await scene.follow(text("Fine."), "go on", reasoning=reasoning)
        found.append((scene.body.get("output_config") or {}).get("effort"))
    return None if found[0] == "low" != found[1] else f"asked for low, then for nothing: {found} arrived"


async def _json_schema(scene: Scene) -> str | None:
    schema = {**_CITY, "additionalProperties": False}
    low = Reasoning(mode="on", effort="low")  # which is sent in the same object
    await scene.follow(text('{"city":"Rome"}'), "as JSON", output_schema=schema, reasoning=low)
    found = (scene.body.get("output_config") or {}).get("format")
    return difference(found, {"type": "json_schema", "schema": schema})


async def _tools(scene: Scene) -> str | None:
    if scene.lists_tools_early:  # then it is told them late, as a spare is
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await scene.child.tools_asked_for()
        except TimeoutError:
            return "it didn't ask for the tools as it started"
    reply = await scene.begin(
        tool_calls(("get_weather", {"city": "Rome"}), ("Bash", {})),
        user("How is it?"),
        tools=_TOOLS,
        tool_choice=ToolChoice(type="any"),
        **{**_PARAMETERS, "stop_sequences": tuple(_PARAMETERS["stop_sequences"])},
    )
    arrived = {tool["name"]: tool.get("description") for tool in scene.body.get("tools") or ()}
    if problem := difference(arrived, {tool.name: tool.description for tool in _TOOLS}):
        return problem
    calls = scene.child.calls
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for use in _calls(reply.content):
                calls[use.id] = await scene.child.call(use.id)  # seen, and still held
    except TimeoutError:
        return f"only {len(calls)} of two tool calls came"
    return _requests(scene, 1)


def _calls(content: tuple[AnyBlock, ...]) -> list[ToolUse]:
    return [block for block in content if isinstance(block, ToolUse)]


async def _held_results(scene: Scene) -> str | None:
    first, second = _calls(scene.messages[-1].content)
    await scene.answer(
        text("Fine."),
        ToolResult(tool_use_id=first.id, content=(Text(text="sunny"), _PICTURE)),
        ToolResult(tool_use_id=second.id, content=(Text(text="no such thing"),), is_error=True),
    )
    *before, (role, blocks) = scene.told
    # They come in the order in which the CLI was done with them: an image takes it a moment.
    ordered = (role, sorted(blocks, key=lambda block: str(block.get("tool_use_id"))))
    return difference([*before, ordered], plain(scene.messages[:-1]))


async def _parameters(scene: Scene) -> str | None:
    await scene.follow(text("Fine."), "thanks")
    asked = {**_PARAMETERS, "tool_choice": _FORCED}
    if problem := _requests(scene, 3):
        return problem
    first, looped, last = ({name: body.get(name) for name in asked} for body in scene.bodies)
    kept = {name for body in (looped, last) for name in body if body[name] == asked[name]}
    return difference(first, asked) or (f"{', '.join(sorted(kept))} stayed when not asked for again" if kept else None)


async def _errors(scene: Scene) -> str | None:
    reset = int(time.time()) + 3600
    headers = {f"anthropic-ratelimit-unified-{window}reset": str(reset) for window in ("", "5h-")}
    limit = await _failure(scene, scene.begin(error(429, "rate_limit_error", "used up", headers=headers), user("hi")))
    if not isinstance(limit, RateLimited) or limit.reset_at != reset:
        return f"a plan used up until {reset} came as {limit!r}, until {limit and limit.reset_at}"
    busy = await _failure(scene, scene.follow(error(529, "overloaded_error", "busy"), "again"))
    if problem := _requests(scene, 2):
        return problem
    return None if isinstance(busy, Overloaded) else f"an overloaded upstream came as {busy!r}"


async def _early_stop(scene: Scene) -> str | None:
    reply = await scene.begin(text("Cut short", stop_reason="max_tokens"), user("hi"))
    return difference((reply.stop_reason, reply.content), ("max_tokens", (Text(text="Cut short"),)))


async def _broken_stream(scene: Scene) -> str | None:
    ended = asyncio.Event()
    scene.child.on_loop_ended = lambda _: ended.set()
    broken = await _failure(scene, scene.begin(text("One ", "two ", "three", cut_after=5), user("hi")))
    if broken is None:
        return "a reply that broke off came as a whole one"
    with contextlib.suppress(TimeoutError):  # it may go on behind our back
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await ended.wait()
    return _requests(scene, 1)


def _requests(scene: Scene, wanted: int) -> str | None:
    found = len(scene.bodies)
    return None if found == wanted else f"asked upstream {found} times, not {wanted}"


async def _failure(scene: Scene, turn: Awaitable[Collected]) -> ProxyError | None:
    """Give the error that the turn ends with; a child that is gone shows nothing."""
    try:
        await turn
    except ProxyError as caught:
        if scene.child.gone:
            raise
        return caught
    return None


Checking = Callable[[Scene], Awaitable[str | None]]

GROUPS: tuple[tuple[str, Mapping[str, Checking]], ...] = (
    (
        _TODAY,
        {
            "history": _history,
            "at-path": _at_path,
            "slash": _slash,
            "next-turn": _next_turn,
            "thinking": _thinking,
            "effort": _effort,
            "json-schema": _json_schema,
        },
    ),
    (_OLDER, {"tools": _tools, "held-results": _held_results, "parameters": _parameters}),
    (_TODAY, {"errors": _errors}),
    (_TODAY, {"early-stop": _early_stop}),
    (_TODAY, {"broken-stream": _broken_stream}),
)
"""A model and what is checked with it, in order, on one child."""
