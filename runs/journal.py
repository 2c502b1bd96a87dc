"""Effects that happen once: intent, call, result, each committed before the next.

An intent without a result is in doubt. An idempotent tool is then called again with the same key, a
checkable one asks the world, and about any other a person decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

from pydantic import JsonValue

from ..core.errors import JournalMismatch
from ..core.ids import canonical_json, digest
from ..core.tape import tape_in_use, through
from ..tools.base import Tool, ToolResult
from .decisions import (
    Decision,
    DecisionWord,
    Happened,
    NotHappened,
    Question,
    Reject,
    ask,
    decision_from_json,
    question,
    rosier,
    same_act,
)
from .interrupts import as_json
from .scope import RunScope
from .standing_approvals import covering
from .store import approvals, effects
from .store.rows import EffectRow, EffectState, Intent

ResultT = TypeVar("ResultT")

TRIES = 3
"""How often an idempotent call is made, with one key, before its silence becomes an error result."""


class InDoubt(Exception):
    """The call ended without telling whether its effect happened; never leaves this room."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect to be made."""

    scope: RunScope
    key: str
    tool: Tool
    args: dict[str, Any]
    call_id: str
    world_key: str = ""
    """Key under which the world knows the call; empty for `key` itself."""

    @property
    def digest(self) -> str:
        """Digest of tool and arguments: what the journal holds the key to."""
        return call_digest(self.tool, self.args)

    def result(self, status: Any, content: str) -> ToolResult:
        """A result that the tool itself did not give."""
        return ToolResult(
            call_id=self.call_id, tool=self.tool.name, status=status, content=content, origin=self.tool.origin
        )


def call_digest(tool: Tool, args: Mapping[str, Any]) -> str:
    """Digest of a tool and its arguments, as `Tool.validate` returned them."""
    return digest({"tool": tool.name, "args": args})


async def decision_on(scope: RunScope, asked: Question) -> Decision | None:
    """The recorded decision on exactly this question, or None while it is open.

    It is open, too, while the only one who decided about the call was told that its arguments were trusted, and
    they no longer are.

    Raises:
        JournalMismatch: The question under this key had another content when it was decided.
    """
    rows = await scope.store.read(lambda conn: approvals.by_key(conn, scope.run_id, asked["key"]))
    settled = [row for row in rows if row.state in ("decided", "expired")]
    row = next((row for row in settled if row.digest == asked["digest"]), settled[0] if settled else None)
    if row is None:
        return None
    same = row.kind == asked["kind"] and same_act(row.payload, asked["payload"])
    if row.digest != asked["digest"] and same and rosier(row.payload, asked["payload"]):
        return None
    if row.digest != asked["digest"] and not same:
        tool = str(asked["payload"].get("tool", asked["kind"]))
        raise JournalMismatch(tool, f"what was decided under {asked['key']} is not what is about to happen.")
    if row.decision is None:
        return Reject("nobody answered in time", by="expiry")
    return decision_from_json(row.decision)


async def decide(scope: RunScope, asked: Question) -> Decision:
    """The recorded decision on exactly this question, or a standing one; parks the run while there is none.

    LangGraph hands answers to a node by position, so what `ask` returns is not believed: it only uses
    up a position that an earlier question of the same node held.
    """
    decision = await decision_on(scope, asked) or await covering(scope, asked)
    while decision is None:
        ask([asked])
        decision = await decision_on(scope, asked)
    return decision


Call = Callable[["Entry"], Awaitable[ToolResult]]
"""Runs the tool, under the entry's world key."""


async def reused(entry: Entry, call: Call) -> ToolResult | None:
    """The result of a recorded effect that the run may take for this call; None when it must be made.

    Where nobody knows whether the recorded effect happened, that is settled as for one of the run's own.

    Raises:
        Fenced: Another worker has taken the run over.
        StoreError: The journal cannot be read or written.
    """
    if (entry.tool.name, entry.digest) not in entry.scope.reusable:
        return None
    found = await _journaled(entry, effects.standing_in)
    return None if found is None else await _settled(entry, call, found)


async def once(entry: Entry, call: Call) -> ToolResult:
    """The recorded result, or the result of the call, made at most once by itself.

    Raises:
        JournalMismatch: The key was used for another call.
        Fenced: Another worker has taken the run over; nothing was called.
        StoreError: The intent could not be written; nothing was called.
    """
    return await _settled(entry, call, await _journaled(entry, effects.intend))


async def _journaled(entry: Entry, work: Callable[..., ResultT]) -> ResultT:
    scope, now = entry.scope, entry.scope.clock.now()
    return await scope.store.write(
        lambda conn: work(
            conn,
            scope.run_id,
            scope.epoch,
            entry.key,
            tool=entry.tool.name,
            digest=entry.digest,
            args=entry.args,
            now=now,
        ),
        full=True,
        lane=scope.lane,
    )


async def _settled(entry: Entry, call: Call, found: Intent) -> ToolResult:
    known = replace(entry, world_key=found.world_key)
    if found.outcome == "new":
        return await _attempt(known, call)
    if found.outcome == "in_doubt":
        return await _settle_doubt(known, call, found.row)
    return ToolResult.model_validate(found.row.result)


async def _attempt(entry: Entry, call: Call, tries: int = TRIES) -> ToolResult:
    try:
        return await _record(entry, await call(entry))
    except InDoubt as doubt:
        if entry.tool.effect == "idempotent":
            if tries > 1:
                return await _attempt(entry, call, tries - 1)
            text = f"No answer in {TRIES} tries with one key, so it may or may not have happened: {doubt}"
            return await _record(entry, entry.result("error", text))
        found = await _probe(entry)
        if found is not None:
            return await _record(entry, found)
        if entry.tool.effect == "checkable":
            return await _record(entry, entry.result("error", f"It did not happen: {doubt}"))
        row = await entry.scope.store.read(lambda conn: effects.find(conn, entry.key))
        return await _ask_person(entry, call, cast(EffectRow, row))


async def _record(entry: Entry, result: ToolResult, state: EffectState = "done") -> ToolResult:
    scope, body, now = entry.scope, result.model_dump(mode="json"), entry.scope.clock.now()
    await scope.store.write(
        lambda conn: effects.record(conn, scope.run_id, scope.epoch, entry.key, state, body, now=now),
        full=True,
        lane=scope.lane,
    )
    return result


async def _settle_doubt(entry: Entry, call: Call, row: EffectRow) -> ToolResult:
    if entry.tool.effect == "unsafe":
        return await _ask_person(entry, call, row)
    found = await _probe(entry)
    return await (_attempt(entry, call) if found is None else _record(entry, found))


async def _probe(entry: Entry) -> ToolResult | None:
    """What the world says about a checkable effect: its result if it happened, else None."""
    if entry.tool.effect != "checkable" or entry.tool.probe is None:
        return None
    guard = entry.scope.guard
    probe = partial(entry.tool.probe, **(guard.restored(entry.args) if guard else entry.args))
    found: JsonValue | None = (
        await probe()
        if (tape := tape_in_use()) is None
        else await through(tape, "probe", {"tool": entry.tool.name, "arguments": as_json(entry.args)}, probe)
    )
    if found is None:
        return None
    found = await guard.brought(entry.tool.name, found) if guard else found
    content = found if isinstance(found, str) else canonical_json(found)
    return entry.result("ok", content).model_copy(update={"data": found})


async def _ask_person(entry: Entry, call: Call, row: EffectRow) -> ToolResult:
    decision = await decide(entry.scope, _doubt_question(entry, row))
    match decision:
        case Happened(result=result):
            return await _record(entry, entry.result("ok", result or "It happened, as a person confirmed."))
        case NotHappened() | Reject():
            text = "It did not happen, as a person confirmed; it was not tried again."
            return await _record(entry, entry.result("rejected", text), "abandoned")
        case _:
            return await _again(entry, call)


async def _again(entry: Entry, call: Call) -> ToolResult:
    scope, now = entry.scope, entry.scope.clock.now()
    await scope.store.write(
        lambda conn: effects.retry(conn, scope.run_id, scope.epoch, entry.key, now=now),
        full=True,
        lane=scope.lane,
    )
    return await _attempt(entry, call)


def _doubt_question(entry: Entry, row: EffectRow) -> Question:
    payload: dict[str, JsonValue] = {
        "tool": entry.tool.name,
        "args": as_json(entry.args),
        "key": entry.key,
        "attempt": row.attempt,
        "since": row.created_at.isoformat(),
    }
    words: tuple[DecisionWord, ...] = ("happened", "not_happened", "retry")
    return question(f"{entry.key}/doubt/{row.attempt}", "in_doubt", payload, words)
