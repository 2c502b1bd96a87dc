"""Building the body of a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...core.messages import ToolSpec
from ..backend import NO_PARAMS, Call
from ..base import ToolChoice
from ..decoding import OPEN, Names, wire_params


def build_request(
    model: str,
    call: Call,
    *,
    names: Names = OPEN,
    spec: str = "",
    response_format: Mapping[str, Any] | None = None,
    stream: bool = False,
    count: bool = True,
) -> dict[str, Any]:
    """The request as JSON types.

    Args:
        model: Name of the model at its server.
        call: Messages, tools and decoding.
        names: What the server calls the settings that it takes.
        spec: How the model is named in errors; default: `model`.
        response_format: The constraint on the answer's form, if any.
        stream: Whether to ask for events.
        count: Whether to ask for the token counts among them.

    Raises:
        UnsupportedParameter: The server does not take a setting of `call.params`.
    """
    body: dict[str, Any] = {"model": model, "messages": [m.to_wire() for m in call.messages]}
    if call.tools:
        body["tools"] = [wire_tool(tool) for tool in call.tools]
        if call.tool_choice != "auto":
            body["tool_choice"] = _tool_choice(call.tool_choice)
    if response_format is not None:
        body["response_format"] = response_format
    if call.params is not NO_PARAMS:
        body.update(wire_params(call.params, names, spec or model))
    if stream:
        body["stream"] = True
        if count:
            body["stream_options"] = {"include_usage": True}
    return body


def narrowed(call: Call, *, said: bool) -> Call:
    """The call for a server that does not obey `tool_choice`: only what may be called is offered.

    Args:
        call: With tools, and a choice other than `auto`.
        said: Whether the choice is sent none the less.
    """
    if call.tool_choice == "none":
        return replace(call, tools=(), tool_choice="auto")
    if call.tool_choice != "required":
        call = replace(call, tools=tuple(tool for tool in call.tools if tool["name"] == call.tool_choice))
    return call if said else replace(call, tool_choice="auto")


def wire_tool(tool: ToolSpec) -> dict[str, Any]:
    """A tool in the shape of the wire."""
    return {"type": "function", "function": tool}


def _tool_choice(choice: ToolChoice) -> Any:
    if choice in ("required", "none"):
        return choice
    return {"type": "function", "function": {"name": choice}}
