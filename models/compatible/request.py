"""Building the body of a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.messages import ToolSpec
from ..backend import Call
from ..base import ToolChoice


def build_request(
    model: str,
    call: Call,
    *,
    max_tokens_field: str = "max_tokens",
    response_format: Mapping[str, Any] | None = None,
    stream: bool = False,
    count: bool = True,
) -> dict[str, Any]:
    """The request as JSON types.

    Args:
        model: Name of the model at its server.
        call: Messages, tools and decoding.
        max_tokens_field: What the server calls the limit of the answer.
        response_format: The constraint on the answer's form, if any.
        stream: Whether to ask for events.
        count: Whether to ask for the token counts among them.
    """
    body: dict[str, Any] = {"model": model, "messages": [m.to_wire() for m in call.messages]}
    if call.tools:
        body["tools"] = [wire_tool(tool) for tool in call.tools]
        if call.tool_choice != "auto":
            body["tool_choice"] = _tool_choice(call.tool_choice)
    if response_format is not None:
        body["response_format"] = response_format
    params = call.params
    for name, value in (
        ("temperature", params.temperature),
        ("top_p", params.top_p),
        (max_tokens_field, params.max_tokens),
        ("seed", params.seed),
    ):
        if value is not None:
            body[name] = value
    if params.stop:
        body["stop"] = list(params.stop)
    if stream:
        body["stream"] = True
        if count:
            body["stream_options"] = {"include_usage": True}
    if params.extra:
        body.update(params.extra)
    return body


def wire_tool(tool: ToolSpec) -> dict[str, Any]:
    """A tool in the shape of the wire."""
    return {"type": "function", "function": tool}


def _tool_choice(choice: ToolChoice) -> Any:
    if choice in ("required", "none"):
        return choice
    return {"type": "function", "function": {"name": choice}}
