"""The demo's answers: a friendly stub that says that it is one, calls tools when asked to and keeps to a schema. Pure.

``answer(body)`` reads nothing but the request, so the same request gets the same reply.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import chain

from claude_proxy.simulator.example import example
from claude_proxy.simulator.script import Json, Reply, text, thinking_block, tool_calls

HEADER = "x-claude-proxy-demo"
_WHO = "I'm the built-in simulator of claude-proxy, not Claude: no model has read this."
_GAP_SECONDS = 0.015
_QUOTED_CHARACTERS = 80
_MOST_CALLS = 4

_NAMES = re.compile(r"[\"“]([^\"”]{1,60})[\"”]|\b([A-Z][\w-]*(?:[ \t]+[A-Z][\w-]*)*)")
_ASKS_FOR_TOOLS = re.compile(r"\b(?:call|use|using|invoke|try|run)\b[^.?!\n]*\btool(s?)\b", re.IGNORECASE)


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NO_NAMES = _word_set(
    "a an and are ask call can check could do does fetch find for get give hello hi how i i'm in is it list look "
    "please run show tell the then these this to try use using what what's when where which who why will with "
    "would you your"
)
_COMMON_IN_TOOL_NAMES = _word_set(
    "a add by call create current delete do edit fetch find for get in list lookup make mcp my of open put read "
    "run search set show the to tool update use write"
)
_ACTING = _word_set(
    "args argv bash cmd code command content contents directory dir exec execute file filename kill path patch "
    "process replace script shell sql stdin terminal uri url write"
)
"""Words in a tool's name or in its arguments' that say that it acts on the client's machine, or anywhere else."""


def answer(body: Json) -> Reply:
    """Give the demo's reply to a request."""
    reply = compelled(body) or _about_results(body) or _called(body) or _small_talk(body)
    thought = _thought(body)
    return replace(reply, blocks=(*thought, *reply.blocks), gap_seconds=_GAP_SECONDS, headers={HEADER: "1"})


def compelled(body: Json) -> Reply | None:
    """Give what the request leaves no choice about: a forced tool call, JSON by a schema, or any JSON object."""
    choice = body.get("tool_choice") or {}
    wanted = {"any": None, "tool": choice.get("name")}
    if choice.get("type") in wanted:
        name = wanted[choice["type"]]
        tool = next((tool for tool in _tools(body) if name in (None, tool["name"])), None)
        if tool is not None:
            return tool_calls(*_calls(tool, body))
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    if schema is not None:
        return text(json.dumps(example(schema, iter(_names(_prompt(body)))), ensure_ascii=False))
    if "JSON object" in _system(body):
        return text(json.dumps({"answer": _WHO}, ensure_ascii=False))
    return None


def _system(body: Json) -> str:
    system = body.get("system") or ""
    return system if isinstance(system, str) else "\n".join(block["text"] for block in system)


def _tools(body: Json) -> list[Json]:
    """Give the tools that the client runs itself."""
    return [tool for tool in body.get("tools") or () if "input_schema" in tool]


def _turn(body: Json) -> list[Json]:
    """Give the blocks of the user's latest turn, without the notes that the CLI adds."""
    users = [message["content"] for message in body["messages"] if message["role"] == "user"]
    last = users[-1] if users else []
    blocks = [{"type": "text", "text": last}] if isinstance(last, str) else last
    return [block for block in blocks if not block.get("text", "").startswith("<system-reminder>")]


def _prompt(body: Json) -> str:
    return "\n".join(block["text"] for block in _turn(body) if block["type"] == "text")


def _names(prompt: str, *, but: frozenset[str] = frozenset()) -> list[str]:
    """Give the names in a prompt: what stands in quotes, and capitalised words."""
    found: dict[str, None] = {}
    for quoted, capitalised in _NAMES.findall(prompt):
        words = capitalised.split()
        while words and words[0].lower() in _NO_NAMES | but:
            del words[0]
        name = quoted or " ".join(words)
        if name and name.lower() not in but:
            found[name] = None
    return list(found)


def _parts(name: str) -> frozenset[str]:
    """Give the words that a name is made of."""
    return frozenset(part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name))


def _words(tool: Json) -> frozenset[str]:
    """Give the telling words of a tool's name."""
    return _parts(tool["name"]) - _COMMON_IN_TOOL_NAMES


def _acts(tool: Json) -> bool:
    """Tell whether a tool may do harm with words that nobody chose: an agent really runs what it is told here."""
    names = (tool["name"], *(tool["input_schema"].get("properties") or ()))
    return any(_parts(name) & _ACTING for name in names)


def _meant(tool: Json, prompt: str) -> bool:
    name = re.escape(tool["name"])
    if re.search(rf"\b(?:call|use|using|invoke|try|run)\s+(?:the\s+|my\s+)?[`'\"]?{name}\b", prompt, re.IGNORECASE):
        return True
    if _acts(tool):
        return False
    words = _words(tool)
    return bool(words) and words <= frozenset(re.findall(r"[a-z]+|\d+", prompt.lower()))


def _called(body: Json) -> Reply | None:
    """Call what the prompt asks to call, once for each thing it names."""
    tools, prompt = _tools(body), _prompt(body)
    if not tools or (body.get("tool_choice") or {}).get("type") == "none":
        return None
    meant = [tool for tool in tools if _meant(tool, prompt)]
    asked = _ASKS_FOR_TOOLS.search(prompt)
    if not meant and asked:
        harmless = [tool for tool in tools if not _acts(tool)]
        meant = harmless if asked[1] else harmless[:1]
    calls = list(chain.from_iterable(_calls(tool, body) for tool in meant))[:_MOST_CALLS]
    if (body.get("tool_choice") or {}).get("disable_parallel_tool_use"):
        del calls[1:]
    return tool_calls(*calls, text="Let me ask your tools.") if calls else None


def _calls(tool: Json, body: Json) -> list[tuple[str, Json]]:
    """Give the calls of one tool: as many as the prompt names things to call it for, at least one."""
    schema = tool["input_schema"]
    names = [] if _acts(tool) else _names(_prompt(body), but=_words(tool) | {tool["name"].lower()})
    slots = _slots(schema)
    single = (body.get("tool_choice") or {}).get("disable_parallel_tool_use") or not slots
    count = 1 if single else max(1, min(_MOST_CALLS, len(names) // slots))
    groups = [names[at * slots : (at + 1) * slots] for at in range(count)]
    return [(tool["name"], example(schema, iter(group))) for group in groups]


def _slots(schema: Json) -> int:
    """Count the strings of a tool's input that are free to choose."""
    offered = iter(range(100))
    example(schema, (str(number) for number in offered))
    return next(offered)


def _about_results(body: Json) -> Reply | None:
    results = [block for block in _turn(body) if block["type"] == "tool_result"]
    if not results:
        return None
    called = {
        block["id"]: block["name"]
        for message in body["messages"]
        if message["role"] == "assistant" and not isinstance(message["content"], str)
        for block in message["content"]
        if block["type"] == "tool_use"
    }
    said = [f"{called.get(r['tool_use_id'], 'the tool')} {_told(r)}" for r in results]
    return text(f"{_WHO} Your tools answered: {'; '.join(said)}.")


def _told(result: Json) -> str:
    content = result.get("content") or ""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    words = [_short(block["text"]) if block["type"] == "text" else _described(block) for block in blocks]
    verb = "failed with" if result.get("is_error") else "said"
    return f"{verb} {', '.join(word for word in words if word) or 'nothing'}"


def _short(said: str) -> str:
    flat = " ".join(said.split())
    return flat if len(flat) <= _QUOTED_CHARACTERS else flat[: _QUOTED_CHARACTERS - 1] + "…"


def _described(block: Json) -> str:
    source = block.get("source") or {}
    match source.get("type"):
        case "base64":
            size = len(source["data"]) * 3 // 4 - source["data"][-2:].count("=")
            return f"one {block['type']} ({source['media_type']}, {size:,} bytes)"
        case "text":
            return f"one {block['type']} (text, {len(source['data']):,} characters)"
        case "url":
            return f"one {block['type']} (at {_short(source['url'])})"
        case _:
            return f"one {block['type']}"


def _small_talk(body: Json) -> Reply:
    parts = [_WHO]
    if prompt := _short(_prompt(body)):
        parts.append(f"You wrote: “{prompt}”")
    shown = [_described(block) for block in _turn(body) if block["type"] not in ("text", "tool_result")]
    if shown:
        parts.append(f"You sent {', '.join(shown)}.")
    turns = sum(message["role"] == "user" for message in body["messages"])
    parts.append(f"This is turn {turns} of our conversation.")
    return text(" ".join(parts))


def _thought(body: Json) -> tuple[Json, ...]:
    wish = body.get("thinking") or {}
    shown = wish.get("type") == "enabled" or (wish.get("type") == "adaptive" and wish.get("display") == "summarized")
    if not shown:
        return ()
    return (thinking_block("A simulator doesn't think, but this is where a model's thinking would be."),)
