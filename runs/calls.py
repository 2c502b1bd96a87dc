"""The one place that runs a tool: schema, policy, approval, journal, tool, result."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from langchain_core.runnables.config import var_child_runnable_config
from pydantic import JsonValue, TypeAdapter

from ..core.context import node_calls, unjournaled_effects
from ..core.errors import GuardBlocked, InvalidArguments, NoJournal
from ..core.ids import digest
from ..core.messages import ToolCall
from ..core.tape import Codec, tape_in_use, through
from ..core.trust import Origin, Trust, met, origins_here, trust_of
from ..guardrails.destinations import destinations_in
from ..guardrails.policy import BY_RULE, Frozen, Judgement, Policy, Verdict
from ..models.taping import tell_again
from ..tools.base import IdempotencyKey, Tool, ToolContext, ToolResult
from . import journal, standing_approvals
from .decisions import Decision, DecisionWord, Edit, Question, Reject, Respond, ask, question
from .interrupts import as_json
from .scope import RunScope, current_scope, node_namespace, node_path

ValueT = TypeVar("ValueT")

_json: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def call_key(turn: int, index: int) -> str:
    """A name for one call that is the same after a restart: run / fork / node path / turn / index.

    Store it in the state together with the proposal. Outside a run it names the thread in place of the run.
    """
    scope = current_scope()
    owner = f"{scope.run_id}/{scope.fork}" if scope else "unjournaled/0"
    return f"{owner}/{node_namespace()}/{turn}/{index}"


def verdict_for(
    tool: Tool,
    trust: Trust = "untrusted",
    arguments: Mapping[str, Any] | None = None,
    frozen: Frozen | None = None,
) -> Verdict:
    """What the policy of the present run says about a call of `tool`.

    With its arguments (as `tool.validate` returned them), a call is allowed for which a recorded effect of the
    run that this one was forked from may stand: nothing happens by it.
    """
    scope = current_scope()
    verdict = _judged(scope, tool, trust, arguments, frozen).verdict
    if verdict == "ask" and scope and scope.reusable and arguments is not None:
        return "allow" if (tool.name, journal.call_digest(tool, arguments)) in scope.reusable else verdict
    return verdict


async def has_leave(tool: Tool, arguments: Mapping[str, Any], trust: Trust) -> bool:
    """Whether a standing approval of the run takes in this call, so that nobody need be asked."""
    scope = current_scope()
    payload = {"tool": tool.name, "args": as_json(dict(arguments)), "trust": trust}
    return scope is not None and await standing_approvals.found(scope, payload) is not None


def plans_first() -> bool:
    """Whether tools and destinations are to be laid down before untrusted text is read."""
    return _policy(current_scope()).mode == "plan-then-execute"


def tool_question(
    tool: Tool,
    arguments: Mapping[str, Any],
    key: str,
    trust: Trust = "untrusted",
    expires_s: float | None = None,
    *,
    origins: Iterable[Origin] = (),
    seen_in: Mapping[str, Sequence[str]] | None = None,
    frozen: Frozen | None = None,
    guard: str = "",
) -> Question:
    """The question whether a call may happen; it shows the call whole.

    Args:
        tool: What is to be called.
        arguments: As `tool.validate` returned them.
        key: From `call_key`; `call_tool` finds the decision by it.
        trust: Of the arguments.
        expires_s: Seconds until it counts as rejected.
        origins: Where everything came from that had a part in the arguments.
        seen_in: By argument, the texts in which its value stands word for word: names of tools, or `prompt`.
        frozen: What was laid down before untrusted text was read.
        guard: The guard that wants a person asked, if one does.
    """
    judged = _judged(current_scope(), tool, trust, arguments, frozen)
    came: list[JsonValue] = []
    came.extend(sorted(origins))
    payload: dict[str, JsonValue] = {
        "tool": tool.name,
        "args": as_json(dict(arguments)),
        "description": tool.description,
        "effect": tool.effect,
        "risk": tool.risk,
        "trust": trust,
        "why": f"guard {guard} asks" if guard else judged.why,
    }
    if judged.destinations:
        payload["destinations"] = dict(judged.destinations)
        payload["destined_by"] = [name for name in arguments if destinations_in(tool, {name: arguments[name]})]
    if came:
        payload["origins"] = dict.fromkeys(arguments, came)
    if seen_in:
        payload["seen_in"] = {name: list(places) for name, places in seen_in.items()}
    if (scope := current_scope()) and scope.guard:  # the policy has seen what the placeholders stand for
        payload = scope.guard.masked(payload)
    allowed: tuple[DecisionWord, ...] = ("approve", "edit", "reject", "respond")
    return question(key, "tool_call", payload, allowed, schema=tool.parameters, expires_s=expires_s)


async def call_tool(
    tool: Tool,
    arguments: Mapping[str, Any] | str,
    *,
    key: str | None = None,
    call_id: str | None = None,
    trust: Trust | None = None,
    origins: Iterable[Origin] | None = None,
    seen_in: Mapping[str, Sequence[str]] | None = None,
    frozen: Frozen | None = None,
) -> ToolResult:
    """Run a tool once, or say why not.

    The arguments are validated, the policy is asked, a decision is looked up (or asked for, which parks
    the run), a call with effects is journaled before and after, and whatever comes of it is a result.
    Inside a node, calls without `key` are told apart by their order, so a node that calls tools must
    make the same calls when it runs again.

    Args:
        tool: What to call.
        arguments: A mapping, or the JSON text that a model wrote.
        key: Names the call across restarts (`call_key`); give one when calls of a node run in parallel.
        call_id: The model's own id, which the result carries; the key by default.
        trust: Of the arguments; the policy reads it. By default what `origins` say, and `untrusted` outside a node.
        origins: Where everything came from that had a part in the arguments; by default what the node has read so
            far, and what led the run to it.
        seen_in: By argument, where a person is told that its value stands: names of tools, or `prompt`.
        frozen: For a policy of mode plan-then-execute, what was laid down before untrusted text was read.

    Raises:
        NoJournal: A tool that is not `read`, outside a run; or one that must ask, outside any graph.
        JournalMismatch: The journal holds another call under this key.
        StoreError: The journal cannot be written; the tool did not run.
    """
    scope = current_scope()
    if scope is None and tool.effect != "read" and not unjournaled_effects.get():
        raise NoJournal(
            tool.name,
            f"its effect is {tool.effect!r}, and outside a run nothing keeps it from happening twice. "
            "Use graph.run or a Runner, or compile(unjournaled_effects=True).",
        )
    key = key or _next_key()
    call = _Call(tool, key, call_id or key, scope)
    try:
        args = validated(tool, _parsed(tool, arguments))
    except InvalidArguments as error:
        return call.result("error", f"Not called: {error}")
    ask_first = ""
    if scope and scope.guard:
        passed = await scope.guard.called(tool.name, args, key)
        if trip := passed.first("block"):
            return call.result("rejected", str(GuardBlocked(trip.guard, trip.point, list(trip.kinds))))
        args, asks = passed.value, passed.first("ask")
        ask_first = asks.guard if asks else ""
    entry = call.entry(args)
    if entry and (known := await journal.reused(entry, partial(_made, call))):
        met(tool.origin)
        return known
    came = origins_here() if origins is None else frozenset(origins)
    trust = trust or ("untrusted" if came is None else trust_of(came))
    settled = await _settle(call, args, _Weight(trust, came or (), seen_in, frozen, ask_first))
    if isinstance(settled, ToolResult):
        return settled
    result = await _act(call, settled)
    if scope and scope.guard and scope.guard.asks("tool_result"):
        if refused := await scope.guard.allowed("tool_result", result.content, tool.name):
            return call.result("error", refused)
    return result


def validated(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the tool takes them, and as they may be stored: checked whole, then with placeholders again.

    Raises:
        InvalidArguments: They do not fit the tool.
    """
    scope = current_scope()
    if scope is None or scope.guard is None:
        return tool.validate(arguments)
    try:
        return scope.guard.masked(tool.validate(scope.guard.restored(arguments)))
    except InvalidArguments as error:  # it names the value that it refuses
        raise InvalidArguments(error.tool, scope.guard.masked(error.problem)) from None


async def guarded(name: str, value: ValueT) -> ValueT:
    """What a look-up of this name has brought, through the guards of the present run for results of tools.

    Raises:
        GuardBlocked: A guard does not let it pass.
    """
    scope = current_scope()
    return await scope.guard.brought(name, value) if scope and scope.guard else value


def cannot_wait(arguments: Mapping[str, Any]) -> str:
    """Why a call with these arguments cannot wait for a person; empty where it can."""
    scope = current_scope()
    return scope.guard.unkept(arguments) if scope and scope.guard else ""


class _Weight(NamedTuple):
    """What the policy and a person are told of the arguments."""

    trust: Trust
    origins: Iterable[Origin]
    seen_in: Mapping[str, Sequence[str]] | None
    frozen: Frozen | None
    guard: str = ""
    """The guard that wants a person asked."""


class _Call:
    """One call on its way."""

    def __init__(self, tool: Tool, key: str, call_id: str, scope: RunScope | None) -> None:
        self.tool, self.key, self.call_id, self.scope = tool, key, call_id, scope

    def entry(self, args: dict[str, Any]) -> journal.Entry | None:
        """The call as the journal keeps it; None for one that needs no journal, or has none."""
        if self.scope is None or self.tool.effect == "read":
            return None
        return journal.Entry(self.scope, self.key, self.tool, args, self.call_id)

    def result(self, status: Any, content: str, data: JsonValue = None) -> ToolResult:
        return ToolResult(
            call_id=self.call_id,
            tool=self.tool.name,
            status=status,
            content=content,
            data=data,
            origin=self.tool.origin,
        )

    def context(self, world_key: str = "") -> ToolContext[Any]:
        """What the tool is told; `world_key` where the world knows the call under another key."""
        scope = self.scope
        return ToolContext(
            deps=scope.deps if scope else None,
            run_id=scope.run_id if scope else "",
            thread_id=scope.thread_id if scope else "",
            call_id=self.call_id,
            idempotency_key=IdempotencyKey(digest(world_key or self.key)[:32]),
        )

    def emit(self, kind: str, data: Mapping[str, Any]) -> None:
        if self.scope:
            self.scope.emit(kind, {"tool": self.tool.name, "call_id": self.call_id, **data})


def _next_key() -> str:
    counter = node_calls.get()
    if counter is None:
        counter = itertools.count()
        node_calls.set(counter)
    return call_key(0, next(counter))


def _parsed(tool: Tool, arguments: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if isinstance(arguments, str):
        return ToolCall("", tool.name, arguments).parsed()
    return arguments


def _policy(scope: RunScope | None) -> Policy:
    return scope.policy if scope else Policy()


def _judged(
    scope: RunScope | None, tool: Tool, trust: Trust, arguments: Mapping[str, Any] | None, frozen: Frozen | None
) -> Judgement:
    if scope and scope.guard and arguments is not None:  # a destination is what a placeholder stands for
        arguments = scope.guard.restored(arguments)
    return _policy(scope).judge(tool, trust, arguments, agent=node_path() or "", frozen=frozen)


async def _settle(call: _Call, args: dict[str, Any], weight: _Weight) -> dict[str, Any] | ToolResult:
    """The arguments to act with, or the result that stands in place of acting."""
    judged = _judged(call.scope, call.tool, weight.trust, args, weight.frozen)
    if judged.verdict == "deny":
        why = "" if judged.why == BY_RULE else f": {judged.why}"
        told = f"The policy forbids {call.tool.name!r} here{why}."
        return call.result("rejected", call.scope.guard.masked(told) if call.scope and call.scope.guard else told)
    if judged.verdict == "allow" and not weight.guard:
        return args
    if problem := cannot_wait(args):
        return call.result("rejected", f"Not called: {problem}")
    asked = tool_question(
        call.tool,
        args,
        call.key,
        weight.trust,
        origins=weight.origins,
        seen_in=weight.seen_in,
        frozen=weight.frozen,
        guard=weight.guard,
    )
    decision = await _decision(call, asked)
    return _apply(call, args, decision)


async def _decision(call: _Call, asked: Question) -> Decision:
    """What a person decided about exactly this question; parks the run while nobody has."""
    if call.scope is None:
        if var_child_runnable_config.get() is None:
            raise NoJournal(call.tool.name, "it needs a person's leave, and outside a graph nobody can be asked.")
        return ask([asked])[0]
    return await journal.decide(call.scope, asked)


def _apply(call: _Call, args: dict[str, Any], decision: Decision) -> dict[str, Any] | ToolResult:
    match decision:
        case Edit(args=edited):
            try:
                return validated(call.tool, edited)
            except InvalidArguments as error:
                return call.result("error", f"Not called: the edit does not fit: {error}")
        case Reject(reason=reason, by=by):
            return call.result("rejected", f"Rejected by {by}: {reason}" if reason else f"Rejected by {by}.")
        case Respond(text=text):
            return call.result("responded", text if isinstance(text, str) else json.dumps(text), as_json(text))
        case _:
            return args


async def _act(call: _Call, args: dict[str, Any]) -> ToolResult:
    if call.scope:
        call.scope.count_tool_call()
    entry = call.entry(args)
    result = await (_run(call, args) if entry is None else journal.once(entry, partial(_made, call)))
    met(call.tool.origin)
    return result


async def _made(call: _Call, entry: journal.Entry) -> ToolResult:
    return await _run(call, entry.args, in_doubt=True, world_key=entry.world_key)


async def _run(call: _Call, args: dict[str, Any], *, in_doubt: bool = False, world_key: str = "") -> ToolResult:
    """Execute the body with its time limit; an exception of the tool is a result.

    With `in_doubt`, an end that leaves open whether the effect happened (the time limit, a lost
    connection) is raised as `journal.InDoubt` for the journal to settle.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    call.emit("tool_called", {"arguments": args})
    execute = partial(_executed, call, args, in_doubt=in_doubt, world_key=world_key)
    if (tape := tape_in_use()) is None:
        result = await execute()
    else:
        asked = {"tool": call.tool.name, "arguments": as_json(args)}
        result = await through(tape, "tool", asked, execute, _codec(call), tell_again)
    if isinstance(result, journal.InDoubt):
        raise result
    took = round(loop.time() - begun, 6)
    call.emit("tool_result", {"status": result.status, "content": result.content[:2000], "duration_s": took})
    return result


async def _executed(
    call: _Call, args: dict[str, Any], *, in_doubt: bool, world_key: str
) -> ToolResult | journal.InDoubt:
    """What became of the body, as it may be stored."""
    guard = call.scope.guard if call.scope else None
    if guard is None:
        return await _body(call, args, in_doubt=in_doubt, world_key=world_key)
    if unknown := guard.unknown(args):
        return call.result("error", f"Not called: {', '.join(unknown)} stands for nothing that is known here.")
    came = await _body(call, guard.restored(args), in_doubt=in_doubt, world_key=world_key)
    try:
        if isinstance(came, journal.InDoubt):
            return journal.InDoubt(await guard.brought(call.tool.name, str(came)))
        if came.data is None or isinstance(came.data, str):
            content = guard.note(await guard.brought(call.tool.name, came.content))
            return call.result(came.status, content, content if came.data is not None else None)
        data = await guard.brought(call.tool.name, came.data)
        return call.result(came.status, guard.note(_text(data)), data)
    except GuardBlocked as blocked:  # what it brought is withheld; that it happened is not
        return call.result(came.status if isinstance(came, ToolResult) else "error", f"Withheld. {blocked}")


async def _body(call: _Call, args: dict[str, Any], *, in_doubt: bool, world_key: str) -> ToolResult | journal.InDoubt:
    try:
        async with asyncio.timeout(call.tool.timeout_s):
            value = await call.tool.execute(args, call.context(world_key))
        return call.result("ok", _text(value), _jsonable(value))
    except (TimeoutError, ConnectionError) as error:
        problem = str(error) or f"no answer within {call.tool.timeout_s:g} s"
        return journal.InDoubt(problem) if in_doubt else call.result("error", f"{type(error).__name__}: {problem}")
    except Exception as error:  # the boundary of a tool: whatever it raises is what the model reads
        from langgraph.errors import GraphBubbleUp

        if isinstance(error, GraphBubbleUp):
            raise
        return call.result("error", f"{type(error).__name__}: {error}")


def _codec(call: _Call) -> Codec[ToolResult | journal.InDoubt]:
    """How a recording keeps what became of a body."""

    def write(came: ToolResult | journal.InDoubt) -> dict[str, Any]:
        if isinstance(came, journal.InDoubt):
            return {"in_doubt": str(came)}
        return {"status": came.status, "content": came.content, "data": came.data}

    def read(said: dict[str, Any]) -> ToolResult | journal.InDoubt:
        return journal.InDoubt(said["in_doubt"]) if "in_doubt" in said else call.result(**said)

    return Codec(write, read)


def _jsonable(value: Any) -> JsonValue:
    return _json.validate_python(as_json(value))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(as_json(value), ensure_ascii=False)
