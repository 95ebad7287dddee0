"""A loopback Messages API that is as strict as the real one and answers from a script.

The demo, the probe, the tests and the benchmarks use the same one::

    async with Simulator() as simulator:
        simulator.queue.append(text("Hello", " world"))
        ...  # POST to simulator.base_url + "/v1/messages"
        assert simulator.seen[0].finished
"""

from claude_proxy.simulator.app import Simulator
from claude_proxy.simulator.models import MODELS, ModelRules
from claude_proxy.simulator.script import Json, Reply, error, text, thinking, thinking_block, tool_calls
from claude_proxy.simulator.seen import Seen

__all__ = [
    "MODELS",
    "Json",
    "ModelRules",
    "Reply",
    "Seen",
    "Simulator",
    "error",
    "text",
    "thinking",
    "thinking_block",
    "tool_calls",
]
