"""Calls on their way from a model's proposal to their results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from ..core.errors import InvalidArguments, UnknownTool
from ..core.ids import digest
from ..core.messages import Message, ToolCall
from ..core.trust import Origin, Trust, origins_here, trust_of
from ..guardrails import Frozen
from ..runs import call_key, call_tool, cannot_wait, has_leave, validated, verdict_for
from ..tools import Tool, ToolResult

Way = Literal["allow", "ask", "deny", "error"]
"""What becomes of a call; error: it cannot be made, whoever allows it."""


class ProposedCall(BaseModel):
    """A call that a model proposed, checked and weighed; it is checkpointed before anything acts on it."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    key: str
    """Names the call across restarts, in the journal and on its approval."""
    tool: str
    arguments: dict[str, Any] = {}
    """As the tool validated them."""
    trust: Trust = "trusted"
    origins: list[Origin] = []
    """Where everything came from that had a part in the proposal."""
    seen_in: dict[str, list[str]] = {}
    """By argument of a call that asks, the texts in which its value stands: names of tools, or `prompt`."""
    way: Way
    problem: str = ""
    frozen: Frozen | None = None
    """What was laid down before untrusted text was read."""
    inside: bool = False
    """It reads and is allowed, so the proposing node may make it."""


def weigh(
    calls: Sequence[ToolCall],
    tools: Mapping[str, Tool],
    *,
    turn: int,
    read: Sequence[Message],
    frozen: Frozen | None = None,
) -> list[ProposedCall]:
    """Each call with its key and the way it goes; an unknown tool or a bad argument goes no way at all.

    Args:
        calls: What the model proposed.
        tools: By name.
        turn: Number of the proposal.
        read: The conversation that the model had read.
        frozen: What was laid down before untrusted text was read.
    """
    came = (origins_here() or frozenset[Origin]()).union(*(message.origins for message in read))
    weight = _Weight(came, read, frozen)
    return [_weighed(call, tools, call_key(turn, index), weight) for index, call in enumerate(calls)]


async def with_leave(calls: Sequence[ProposedCall], tools: Mapping[str, Tool]) -> list[ProposedCall]:
    """The calls, of which those that a standing approval takes in ask nobody."""
    return [await _with_leave(call, tools) if call.way == "ask" else call for call in calls]


async def _with_leave(call: ProposedCall, tools: Mapping[str, Tool]) -> ProposedCall:
    tool = tools[call.tool]
    if not await has_leave(tool, call.arguments, call.trust):
        return call
    return call.model_copy(update={"way": "allow", "inside": tool.effect == "read"})


def with_ids(message: Message, known: Sequence[Message], turn: int) -> Message:
    """The assistant turn with call ids that are not empty and unique in the conversation.

    Servers repeat ids, or give none; a result must answer one call.
    """
    taken = {call.call_id for earlier in known for call in earlier.tool_calls}
    calls: list[ToolCall] = []
    for index, call in enumerate(message.tool_calls):
        call_id = call.call_id if call.call_id and call.call_id not in taken else f"call-{turn}-{index}"
        taken.add(call_id)
        calls.append(ToolCall(call_id, call.name, call.arguments))
    return Message("assistant", message.content, tuple(calls), origins=message.origins)


async def act(call: ProposedCall, tools: Mapping[str, Tool]) -> ToolResult:
    """The result of one call, made through the run."""
    if call.way == "error":
        return ToolResult(call_id=call.call_id, tool=call.tool, status="error", content=call.problem)
    tool = tools[call.tool]
    return await call_tool(
        tool,
        call.arguments,
        key=call.key,
        call_id=call.call_id,
        trust=call.trust,
        origins=call.origins,
        seen_in=call.seen_in,
        frozen=call.frozen,
    )


async def act_inside(calls: Sequence[ProposedCall], tools: Mapping[str, Tool]) -> list[ToolResult]:
    """The results in call order: allowed calls side by side, then those that a person must allow.

    A call that asks here, inside the proposing node, is keyed by its content too: the node starts again
    after the answer, and the model may then propose something else.
    """
    allowed = [call for call in calls if call.way != "ask"]
    by_id = {result.call_id: result for result in await _side_by_side(allowed, tools)}
    for call in calls:
        if call.way == "ask":
            key = f"{call.key}/{digest(call.arguments)[:12]}"
            by_id[call.call_id] = await act(call.model_copy(update={"key": key}), tools)
    return [by_id[call.call_id] for call in calls]


async def _side_by_side(calls: Sequence[ProposedCall], tools: Mapping[str, Tool]) -> list[ToolResult]:
    """The results of calls that are made at once; all have ended when one of them raises."""
    if len(calls) == 1:
        return [await act(calls[0], tools)]
    settled = await asyncio.gather(*(act(call, tools) for call in calls), return_exceptions=True)
    results: list[ToolResult] = []
    for result in settled:
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results


def told(results: Sequence[ToolResult], edits: Mapping[str, dict[str, Any]] | None = None) -> list[Message]:
    """The results as the model reads them; `edits` holds by call id what a person made of the arguments."""
    return [_told(result, (edits or {}).get(result.call_id)) for result in results]


def _told(result: ToolResult, edit: dict[str, Any] | None) -> Message:
    content = result.content
    if result.status == "rejected":
        content = f"{content} The call was not made. Do not propose it again."
    elif result.status == "responded":
        content = f"A person answered in place of the tool: {content}"
    elif edit is not None:
        content = (
            f"A person changed the arguments to {json.dumps(edit, ensure_ascii=False)} before the call; "
            f"do not repeat the original call. Result: {content}"
        )
    return Message("tool", content, tool_call_id=result.call_id, origins=frozenset({result.origin}))


class _Weight(NamedTuple):
    """What bears on the calls of one turn."""

    came: frozenset[Origin]
    read: Sequence[Message]
    frozen: Frozen | None


def _weighed(call: ToolCall, tools: Mapping[str, Tool], key: str, weight: _Weight) -> ProposedCall:
    tool = tools.get(call.name)
    try:
        if tool is None:
            raise UnknownTool(call.name, list(tools))
        arguments = validated(tool, call.parsed())
    except (UnknownTool, InvalidArguments) as error:
        problem = f"Not called: {error}"
        return ProposedCall(call_id=call.call_id, key=key, tool=call.name, way="error", problem=problem, inside=True)
    trust = trust_of(weight.came)
    way = verdict_for(tool, trust, arguments, weight.frozen)
    if way == "ask" and (problem := cannot_wait(arguments)):
        problem = f"Not called: {problem}"
        return ProposedCall(call_id=call.call_id, key=key, tool=call.name, way="error", problem=problem, inside=True)
    return ProposedCall(
        call_id=call.call_id,
        key=key,
        tool=tool.name,
        arguments=arguments,
        trust=trust,
        origins=sorted(weight.came),
        seen_in=seen_in(arguments, weight.read) if way == "ask" else {},
        way=way,
        frozen=weight.frozen,
        inside=way == "deny" or (way == "allow" and tool.effect == "read"),
    )


def seen_in(arguments: Mapping[str, Any], read: Sequence[Message]) -> dict[str, list[str]]:
    """By argument, where its value stands word for word: names of the tools whose results hold it, or `prompt`."""
    tools = {call.call_id: call.name for message in read for call in message.tool_calls}
    found: dict[str, list[str]] = {}
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if value is None or isinstance(value, bool) or not text.strip():
            continue
        places = [
            tools.get(message.tool_call_id or "", "prompt")
            for message in read
            if message.role in ("user", "tool") and text.strip() in message.content
        ]
        if places:
            found[name] = list(dict.fromkeys(places))
    return found
