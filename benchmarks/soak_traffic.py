"""What a soak's clients do: requests of every kind, each with the answer that it must get."""

import json
from collections.abc import Awaitable, Callable
from itertools import count

from setting import MODEL, Json
from soak_client import Client, Unexpected

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_FORM = {"type": "json_schema", "json_schema": {"name": "place", "schema": _SCHEMA}}
_NO_INPUT: Json = {"type": "object", "properties": {}}
_CHAT_TOOL = {"type": "function", "function": {"name": "note", "parameters": _NO_INPUT}}
_MESSAGES_TOOL = {"name": "note", "input_schema": _NO_INPUT}
_CONTEXT = "word " * 20_000
"""What an agent may bring along. What the server keeps of it for the next turn has a bound, which is soon reached."""

_numbers = count(1)


def _words(what: str = "number") -> str:
    """Give a prompt that no other request has."""
    return f"{what} {next(_numbers)}"


def _check(words: str, answer: str) -> None:
    """Hold an answer to be that to its own request, and whole."""
    if words not in answer:
        raise Unexpected(f"{words!r} isn't in {answer!r}")


def _events(answer: str) -> list[Json]:
    lines = [line.removeprefix("data: ") for line in answer.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def _user(words: str) -> Json:
    return {"role": "user", "content": words}


# -- Chat Completions --------------------------------------------------------------------------------------------------


async def _chat(client: Client) -> None:
    client.chat = [{"role": "system", "content": "Be brief."}]
    await _chat_next(client)


async def _chat_next(client: Client) -> None:
    words = _words()
    client.chat.append(_user(words))
    answer = json.loads(await client.send("/v1/chat/completions", {"messages": client.chat, "tools": [_CHAT_TOOL]}))
    said = answer["choices"][0]["message"]
    _check(words, said["content"])
    client.chat.append(said)


async def _chat_stream(client: Client) -> None:
    words = _words()
    client.chat.append(_user(words))
    said = await _chat_streamed(client)
    _check(words, said["content"])


async def _chat_streamed(client: Client, **fields: object) -> Json:
    body = {"messages": client.chat, "tools": [_CHAT_TOOL], "stream": True, **fields}
    answer = await client.send("/v1/chat/completions", body)
    if not answer.endswith("data: [DONE]\n\n"):
        raise Unexpected(f"a stream without an end: {answer[-100:]}")
    deltas = [choice["delta"] for chunk in _events(answer) for choice in chunk["choices"]]
    said: Json = {"role": "assistant", "content": "".join(delta.get("content") or "" for delta in deltas)}
    calls = [call for delta in deltas for call in delta.get("tool_calls") or () if "id" in call]
    if calls:  # its arguments follow; the tool has none
        said["tool_calls"] = [{**call, "function": {"name": "note", "arguments": "{}"}} for call in calls]
    client.chat.append(said)
    return said


async def _chat_tools(client: Client) -> None:
    client.chat.append(_user(_words("call")))
    said = await _chat_streamed(client, tool_choice="required")
    words = _words("done")
    client.chat += [{"role": "tool", "tool_call_id": call["id"], "content": words} for call in said["tool_calls"]]
    _check(words, (await _chat_streamed(client))["content"])


async def _chat_schema(client: Client) -> None:
    body = {"messages": [_user(_words("json"))], "response_format": _FORM}
    answer = json.loads(await client.send("/v1/chat/completions", body))
    _check("city", json.dumps(json.loads(answer["choices"][0]["message"]["content"])))


# -- Messages ----------------------------------------------------------------------------------------------------------


async def _messages(client: Client) -> None:
    client.messages = []
    await _messages_next(client)


async def _messages_next(client: Client) -> None:
    words = _words()
    client.messages.append(_user(words))
    answer = json.loads(await client.send("/v1/messages", _messages_body(client)))
    client.messages.append({"role": "assistant", "content": answer["content"]})
    _check(words, json.dumps(answer["content"]))


def _messages_body(client: Client, **fields: object) -> Json:
    return {"max_tokens": 1000, "messages": client.messages, "tools": [_MESSAGES_TOOL], **fields}


async def _messages_stream(client: Client) -> None:
    words = _words()
    body = {"max_tokens": 1000, "messages": [_user(words)], "stream": True, "system": _words("number")}
    answer = _events(await client.send("/v1/messages", body))
    if answer[-1]["type"] != "message_stop":
        raise Unexpected(f"a stream without an end: {answer[-1]}")
    _check(words, "".join(event["delta"].get("text", "") for event in answer if event["type"] == "content_block_delta"))


async def _messages_tools(client: Client) -> None:
    client.messages.append(_user(_words("call")))
    answer = json.loads(await client.send("/v1/messages", _messages_body(client, tool_choice={"type": "any"})))
    words = _words("done")
    uses = [block for block in answer["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": use["id"], "content": words} for use in uses]
    client.messages += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
    answer = json.loads(await client.send("/v1/messages", _messages_body(client)))
    client.messages.append({"role": "assistant", "content": answer["content"]})
    _check(words, json.dumps(answer["content"]))


async def _counted(client: Client) -> None:
    body = {"messages": [_user(_words())], "tools": [_MESSAGES_TOOL]}
    if json.loads(await client.send("/v1/messages/count_tokens", body))["input_tokens"] < 1:
        raise Unexpected("no tokens")


# -- Responses ---------------------------------------------------------------------------------------------------------


async def _responses(client: Client) -> None:
    words = _words()
    body = {"input": f"{words} {_CONTEXT}", "previous_response_id": client.response}
    answer = json.loads(await client.send("/v1/responses", body))
    client.response = answer["id"]
    _check(words, json.dumps(answer["output"]))


async def _responses_stream(client: Client) -> None:
    words = _words()
    body = {"input": words, "previous_response_id": client.response, "stream": True}
    last = _events(await client.send("/v1/responses", body))[-1]
    if last["type"] != "response.completed":
        raise Unexpected(f"a stream without an end: {last}")
    client.response = last["response"]["id"]
    _check(words, json.dumps(last["response"]["output"]))


async def _responses_kept(client: Client) -> None:
    if client.response is None:
        await _responses(client)
    path = f"/v1/responses/{client.response}"
    _check(str(client.response), await client.send(path))
    await client.send(f"{path}/input_items")
    await client.send(path, method="DELETE")
    await client.send(path, status=404)
    client.response = None


# -- What fails, and what is told --------------------------------------------------------------------------------------


async def _refused(client: Client) -> None:
    await client.send("/v1/chat/completions", b'{"model": ', status=400)
    await client.send("/v1/chat/completions", {"model": "no-such-model", "messages": [_user("hi")]}, status=404)
    await client.send("/v1/messages", {"messages": "hi", "max_tokens": 1}, status=400)
    await client.send("/v1/responses", {"input": "hi", "previous_response_id": _words("resp")}, status=400)
    await client.send(f"/{_words('nowhere')}", status=404)
    orphans = [_user("hi"), {"role": "tool", "tool_call_id": _words("call"), "content": "done"}]
    await client.send("/v1/chat/completions", {"messages": orphans}, status=400)


async def _made_up(client: Client) -> None:
    """A name that only the upstream can know: another one each time."""
    words = _words()
    body = {"model": f"claude-sonnet-4-{next(_numbers)}", "messages": [_user(words)]}
    _check(words, await client.send("/v1/chat/completions", body))


async def _failing(client: Client) -> None:
    """What fails upstream. Only the stand-in can be told to."""
    body: Json = {"messages": [_user("fail 529")], "max_tokens": 100}
    await client.send("/v1/messages", body, status=529)
    await client.send("/v1/chat/completions", {**body, "messages": [_user("fail 400")]}, status=400)


async def _gone(client: Client) -> None:
    await client.leave({"messages": [_user("slowly, please")]}, amid=False)


async def _gone_amid(client: Client) -> None:
    await client.leave({"messages": [_user("slowly, please")]}, amid=True)


async def _told(client: Client) -> None:
    for path in ("/v1/models", f"/v1/models/{MODEL}", "/api/status", "/metrics", "/health", "/readyz"):
        await client.send(path)


KINDS: dict[str, Callable[[Client], Awaitable[None]]] = {
    "chat": _chat,
    "chat, next": _chat_next,
    "chat, streamed": _chat_stream,
    "chat, tools": _chat_tools,
    "messages": _messages,
    "messages, next": _messages_next,
    "messages, tools": _messages_tools,
    "messages, streamed": _messages_stream,
    "responses": _responses,
    "responses, streamed": _responses_stream,
    "responses, kept": _responses_kept,
    "schema": _chat_schema,
    "counted": _counted,
    "refused": _refused,
    "told": _told,
    "made-up names": _made_up,
    "failing": _failing,
    "gone": _gone,
    "gone amid": _gone_amid,
}
"""In this order, again and again."""

SCRIPTED_ONLY = frozenset({"failing"})
"""What the real CLI can't be asked for."""
