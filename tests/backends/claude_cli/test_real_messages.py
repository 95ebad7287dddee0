"""What only Messages clients send, through the real CLI: it arrives upstream as it came, or its loss is named."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from real_cli import OLDER, MakeReal, Real, assistant, results_for, user

from claude_proxy.canon.blocks import (
    AnyBlock,
    Document,
    Image,
    Json,
    Opaque,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.codec import encode_block
from claude_proxy.canon.request import Reasoning, Tool
from claude_proxy.simulator import text, thinking, thinking_block, tool_calls

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF").decode()
MARK: Json = {"type": "ephemeral"}
LOOK = Tool(name="look", description="Look around.", input_schema={"type": "object", "properties": {}})

DOCUMENTS = {
    "pdf": Document(
        source=Source(type="base64", media_type="application/pdf", data=PDF),
        title="A title",
        context="Its context",
        citations={"enabled": True},
    ),
    "text": Document(source=Source(type="text", media_type="text/plain", data="Some words.")),
    "url": Document(source=Source(type="url", url="https://example.com/a.pdf")),
    "content": Document(source=Source(type="content", content=[{"type": "text", "text": "a part"}])),
}
IMAGES = {
    "base64": Image(source=Source(type="base64", media_type="image/png", data=PIXEL)),
    "url": Image(source=Source(type="url", url="https://example.com/a.png")),
}
OPAQUE = {
    "search_result": {
        "type": "search_result",
        "source": "https://example.com",
        "title": "t",
        "content": [{"type": "text", "text": "r"}],
        "citations": {"enabled": True},
    },
}
SERVER_TOOLS: dict[str, list[Json]] = {
    "web_search": [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://example.com",
                    "title": "t",
                    "encrypted_content": "e",
                    "page_age": None,
                }
            ],
        },
    ],
    "mcp": [
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "x", "server_name": "s", "input": {}},
        {
            "type": "mcp_tool_result",
            "tool_use_id": "mcptoolu_1",
            "is_error": False,
            "content": [{"type": "text", "text": "r"}],
        },
    ],
}


def raw(*blocks: AnyBlock) -> list[Json]:
    """Give blocks as they should arrive."""
    return [encode_block(block) for block in blocks]


def arrived(real: Real) -> list[list[Json]]:
    """Give the content of each turn as it last arrived upstream."""
    return [blocks for _, blocks in real.simulator.seen[-1].conversation]


async def test_documents_and_images_arrive_wherever_they_stand(real: Real) -> None:
    """M02: in the history, in a tool's result and in the last turn, natively and whole, whatever their source."""
    blocks: list[Document | Image] = [*DOCUMENTS.values(), *IMAGES.values()]
    use = ToolUse(id="toolu_1", name="look", input={})
    result = ToolResult(tool_use_id="toolu_1", content=(Text(text="here"), *blocks))
    outcome = await real.ask(
        user("see", *blocks), assistant(use), user(result), assistant("Hm."), user(*blocks, "and?")
    )
    first, _, looked, _, last = arrived(real)
    assert first[1:] == raw(*blocks)
    assert looked[0]["content"][1:] == raw(*blocks)
    assert last[:-1] == raw(*blocks)
    assert not outcome.turn.losses


@pytest.mark.parametrize("kind", ["image", "document"])
async def test_what_a_tool_shows_arrives_the_same_held_and_rebuilt(real: Real, kind: str) -> None:
    """M02, K12: a result with an image goes to the held call, one with a document takes the other way."""
    block: Any = IMAGES["base64"] if kind == "image" else DOCUMENTS["pdf"]
    real.simulator.queue.extend([tool_calls(("look", {})), text("Nice.")])
    first = await real.ask(user("go"), tools=(LOOK,))
    call = next(block for block in first.reply.content if isinstance(block, ToolUse))
    result = ToolResult(tool_use_id=call.id, content=(Text(text="here"), block))
    await real.ask(user("go"), first.said, user(result), tools=(LOOK,))
    assert arrived(real)[-1][0]["content"] == raw(Text(text="here"), block)


async def test_nested_cache_marks_go_and_nothing_else(real: Real) -> None:
    """C20: the CLI sets its own; more than four make a request invalid, so none may come through anywhere."""
    document = Document(
        source=Source(type="content", content=[{"type": "text", "text": "a part", "cache_control": MARK}]),
        cache_control=MARK,
    )
    inner = {"type": "text", "text": "r", "cache_control": MARK}
    found = Opaque({**OPAQUE["search_result"], "content": [inner], "cache_control": MARK})
    use = ToolUse(id="toolu_1", name="look", input={}, cache_control=MARK)
    result = ToolResult(tool_use_id="toolu_1", content=(Text(text="x", cache_control=MARK), document, found))
    outcome = await real.ask(user(document, found), assistant(use), user(result), assistant("ok"), user("last"))
    marks = str(real.upstream[-1]).count("'cache_control'")
    assert marks <= 4
    bare = [{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a part"}]}}]
    assert arrived(real)[0] == [*bare, OPAQUE["search_result"]]
    assert arrived(real)[2][0]["content"][1:] == [*bare, OPAQUE["search_result"]]
    assert not outcome.turn.losses


@pytest.mark.parametrize("name", OPAQUE)
async def test_a_block_we_dont_know_goes_on_as_it_came(real: Real, name: str) -> None:
    """Whether it is any good, the upstream decides."""
    await real.ask(user("see", Opaque(OPAQUE[name])), assistant("ok"), user(Opaque(OPAQUE[name])))
    assert [arrived(real)[0][1], arrived(real)[2][0]] == [OPAQUE[name]] * 2


@pytest.mark.parametrize("name", SERVER_TOOLS)
async def test_what_a_servers_tools_did_stays_in_the_history(real: Real, name: str) -> None:
    """M10: a conversation that began on an upstream with such tools goes on here."""
    real.simulator._strict = False  # whether a model takes them isn't ours to say
    await real.ask(user("go"), assistant(*map(Opaque, SERVER_TOOLS[name]), "Found."), user("more"))
    assert arrived(real)[1] == [*SERVER_TOOLS[name], {"type": "text", "text": "Found."}]


async def test_a_reference_to_a_tool_is_a_named_loss(real: Real) -> None:
    """The CLI puts a sentence of its own in its place."""
    use = ToolUse(id="toolu_1", name="find_tools", input={})
    result = ToolResult(tool_use_id="toolu_1", content=(Opaque({"type": "tool_reference", "tool_name": "look"}),))
    outcome = await real.ask(user("go"), assistant(use), user(result))
    assert outcome.turn.losses == ["messages.tool_reference"]


async def test_a_turn_of_thinking_alone_is_a_named_loss(real: Real) -> None:
    """The CLI leaves it out."""
    thought = thinking_block("only a thought")
    real.simulator._signatures.add(thought["signature"])
    alone = Thinking(thinking=thought["thinking"], signature=thought["signature"])
    outcome = await real.ask(user("go"), assistant(alone), user("on"))
    assert outcome.turn.losses == ["messages.thinking"]
    assert len(arrived(real)) == 1


@pytest.mark.parametrize("held", [True, False])
async def test_a_signed_thought_goes_back_unchanged(real: Real, held: bool) -> None:  # noqa: FBT001  # both ways
    """M03: before a tool call, on the child that holds it and on another that is told everything."""
    call = {"type": "tool_use", "name": "look", "input": {}}
    reply = thinking("Let me look.", stop_reason="tool_use")
    real.simulator.queue.extend([type(reply)(blocks=(*reply.blocks, call), stop_reason="tool_use"), text("Seen.")])
    asked = Reasoning(mode="on", visible=True)
    first = await real.ask(user("go"), tools=(LOOK,), reasoning=asked, client="a")
    thought = first.reply.content[0]
    assert isinstance(thought, Thinking)
    assert thought.thinking == "Let me look."
    assert thought.signature
    await real.ask(
        user("go"), first.said, results_for(first.reply, "a wall"), tools=(LOOK,), client="a" if held else "b"
    )
    assert arrived(real)[1][0] == raw(thought)[0]
    assert real.simulator.seen[-1].status == 200


async def test_a_thought_without_its_text_keeps_its_signature(real: Real) -> None:
    """M03: ``display: omitted``, which is what today's models do unasked."""
    real.simulator.queue.append(thinking("Deep.", "Yes."))
    first = await real.ask(user("go"), reasoning=Reasoning(mode="on"), client="a")
    thought = first.reply.content[0]
    assert isinstance(thought, Thinking)
    assert (thought.thinking, bool(thought.signature)) == ("", True)
    await real.ask(user("go"), first.said, user("more"), client="b")
    assert arrived(real)[1][0] == raw(thought)[0]


async def test_redacted_thinking_goes_back_unchanged(real: Real) -> None:
    """M03: only the API can read it, and it must have it back."""
    real.simulator._strict = False
    blocks = (RedactedThinking(data="cmVkYWN0ZWQ="), Text(text="ok"))
    await real.ask(user("go"), assistant(*blocks), user("more"))
    assert arrived(real)[1] == raw(*blocks)


@pytest.mark.parametrize(
    ("model", "reasoning", "sent"),
    [
        ("sonnet", Reasoning(mode="on", visible=True), {"type": "adaptive", "display": "summarized"}),
        ("sonnet", Reasoning(mode="on"), {"type": "adaptive"}),
        (OLDER, Reasoning(mode="on", budget_tokens=2048, visible=True), {"type": "enabled", "budget_tokens": 2048}),
        (OLDER, Reasoning(mode="off"), {"type": "disabled"}),
    ],
    ids=["adaptive", "omitted", "budget", "disabled"],
)
async def test_thinking_arrives_as_it_was_asked_for(
    make_real: MakeReal, model: str, reasoning: Reasoning, sent: dict[str, Any]
) -> None:
    """M02: each form on a model that takes it."""
    real = await make_real(warm_models=(model,))
    outcome = await real.ask(user("go"), model=model, reasoning=reasoning, max_tokens=4096)
    assert real.upstream[-1]["thinking"] == sent
    assert not outcome.turn.losses


async def test_effort_without_thinking_arrives(real: Real) -> None:
    """M02: ``output_config.effort`` is about everything that the model writes."""
    outcome = await real.ask(user("go"), reasoning=Reasoning(effort="low"))
    assert real.upstream[-1]["output_config"]["effort"] == "low"
    assert not outcome.turn.losses


async def test_what_a_tool_says_beside_its_schema_is_a_named_loss(real: Real) -> None:
    """M09: the tool works all the same."""
    extra = {"defer_loading": True, "strict": True, "input_examples": [{}], "cache_control": MARK}
    outcome = await real.ask(user("go"), tools=(Tool(name="look", description="Look.", extra=extra),))
    assert outcome.turn.losses == ["tools.defer_loading", "tools.input_examples", "tools.strict"]
    assert [tool["name"] for tool in real.upstream[-1]["tools"]] == ["look"]


async def test_metadata_is_the_clis_own_on_a_plan(real: Real) -> None:
    """M02, C20: a named loss there; the CLI's identity is in it."""
    outcome = await real.ask(user("go"), user_id="me")
    assert outcome.turn.losses == ["user_id"]
    assert real.upstream[-1].get("metadata", {}).get("user_id") != "me"
