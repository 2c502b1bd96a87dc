"""The guards of one run at work: what comes from people, what models are asked and say, calls and their results.

Placeholders are known to the process that redacts. With a key (`COLLEGIUM_VAULT_KEY`) they are kept in the store's
vault, encrypted, until the run is settled; without one they are gone when the process is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..core.errors import GuardBlocked
from ..core.ids import canonical_json, digest
from ..core.messages import Message, ToolCall
from ..core.settings import vault_key
from ..core.tape import hear
from ..guardrails.guards import Guards, Memory, Passed, Point, Trip
from ..guardrails.marking import marked
from ..guardrails.parts import texts_of
from ..guardrails.redacting import PLACEHOLDER, RedactedStream, Redactor, masked, restore
from ..models.base import Completion
from .decisions import Question, Reject, question
from .store import Store, vault

if TYPE_CHECKING:
    from .scope import RunScope

ValueT = TypeVar("ValueT")

KEPT = 200
"""So many texts that were brought are remembered for checks that compare with them."""


@dataclass(slots=True)
class Placeholders:
    """What stands behind the placeholders of one thread, in this process."""

    mapping: dict[str, str | int] = field(default_factory=dict[str, "str | int"])
    first: int = 1
    """The lowest number for a new one: higher where an earlier process may have given numbers out."""
    kept: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Run and placeholder of those that are in the vault."""
    trips: list[Trip] = field(default_factory=list[Trip])
    """What guards found before the run had begun, to be told when it does."""

    @classmethod
    def later(cls) -> Placeholders:
        """For a thread that another process may have redacted for: numbers that it will not have used."""
        return cls(first=1 + 1000 * (1 + secrets.randbelow(99_000)))


async def admitted(guards: Guards, values: dict[str, Any], known: Placeholders) -> dict[str, Any]:
    """What people hand in as it may be stored.

    Raises:
        GuardBlocked: It may not.
    """
    passed = await guards.passed("input", values, known=known.mapping, first=known.first)
    known.mapping.update(passed.mapping)
    known.trips += passed.trips
    refuse(passed)
    return cast("dict[str, Any]", passed.value)


def refuse(passed: Passed) -> None:
    """Stop here what a guard blocks.

    Raises:
        GuardBlocked: One does.
    """
    if trip := passed.first("block"):
        raise GuardBlocked(trip.guard, trip.point, list(trip.kinds))


async def keep(store: Store, run_id: str, known: Placeholders) -> None:
    """Put what is new behind placeholders into the vault, where there is one."""
    key = vault_key()
    new = {name: value for name, value in known.mapping.items() if (run_id, name) not in known.kept}
    if key is None or store.path is None or not new:
        return
    values = {name: json.dumps(value) for name, value in new.items()}
    await store.write(lambda conn: vault.put(conn, key, store.name, run_id, values), full=True)
    known.kept |= {(run_id, name) for name in new}


async def kept(store: Store, run_id: str) -> dict[str, str | int]:
    """What the vault holds of a run; empty without a key."""
    if (key := vault_key()) is None or store.path is None:
        return {}
    found = await store.read(lambda conn: vault.of_run(conn, key, store.name, run_id))
    return {name: json.loads(value) for name, value in found.items()}


class RunGuard:
    """The guards of a run; a `models.guarding.ModelGuard`."""

    def __init__(self, guards: Guards, known: Placeholders) -> None:
        self.guards, self.known = guards, known
        self._memory = Memory()
        self._seen: dict[tuple[Point, str], str] = {}
        """Prompts repeat the texts of earlier ones: each is looked at once."""
        self.scope: RunScope | None = None

    # -- models ---------------------------------------------------------------------------------

    async def asked(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The prompt as it may be sent; see `ModelGuard`."""
        passed = tuple([await self._asked(message) for message in messages])
        await self._keep()
        return passed

    async def _asked(self, message: Message) -> Message:
        content = masked(message.content, self.known.mapping)
        if message.role in ("user", "tool"):
            content = await self._prompt(message.role, content)
        return message if content == message.content else replace(message, content=content)

    async def _prompt(self, role: str, text: str) -> str:
        point: Point = "input" if role == "user" else "tool_result"
        if (point, text) not in self._seen:
            passed = await self._passed(point, text)
            refuse(passed)
            await self._ask(passed, text)
            self._seen[point, text] = passed.value
        return self._seen[point, text]

    def marked(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The prompt as it is sent; see `ModelGuard`."""
        return marked(messages) if self.guards.marking else messages

    async def said(self, completion: Completion[Any], output: Any) -> Completion[Any]:
        """The answer as it may be used; see `ModelGuard`."""
        calls = [(call, _read(call)) for call in completion.tool_calls]
        whole = {
            "text": completion.text,
            "reasoning": completion.reasoning,
            "output": completion.output,
            "calls": [read for _, read in calls],
        }
        passed = await self._passed("output", masked(whole, self.known.mapping))
        refuse(passed)
        await self._ask(passed, completion.text)
        await self._keep()
        if passed.value == whole:
            return completion
        pairs = zip(calls, passed.value["calls"], strict=True)
        written = [replace(call, arguments=_written(value)) for (call, _), value in pairs]
        return replace(
            completion,
            text=passed.value["text"],
            reasoning=passed.value["reasoning"],
            output=_typed(passed.value["output"], output),
            tool_calls=tuple(written),
            logprobs=(),  # its tokens are those of the text before
        )

    def pieces(self) -> _Pieces:
        """See `ModelGuard`."""
        return _Pieces(self)

    # -- tools ----------------------------------------------------------------------------------

    def restored(self, value: ValueT) -> ValueT:
        """A value with what its placeholders stand for."""
        return restore(value, self.known.mapping)

    def masked(self, value: ValueT) -> ValueT:
        """A value as it may be stored: what has a placeholder is replaced by it."""
        return masked(value, self.known.mapping)

    def unknown(self, value: Any) -> list[str]:
        """Placeholders in a value that stand for nothing that is known here."""
        found = {name for text in texts_of(value) for name in PLACEHOLDER.findall(text)}
        return sorted(found - self.known.mapping.keys())

    def unkept(self, args: Mapping[str, Any]) -> str:
        """Why a call with these arguments cannot wait; empty where it can."""
        names = {name for text in texts_of(args) for name in PLACEHOLDER.findall(text)} & self.known.mapping.keys()
        if not names or vault_key() is not None:
            return ""
        return (
            f"it would wait for a person with redacted values ({', '.join(sorted(names))}), and there is no key to "
            "keep them encrypted. Set COLLEGIUM_VAULT_KEY."
        )

    async def called(self, tool: str, args: dict[str, Any], key: str) -> Passed:
        """The arguments of a call as they may be stored, and what guards want of it; `key` names the call."""
        same = self._memory.calls.setdefault(f"{tool} {digest(args)}", set())
        same.add(key)
        self._memory.repeats = len(same)
        passed = await self._passed("tool_call", self.masked(args), tool)
        await self._keep()
        return passed

    async def brought(self, tool: str, value: Any) -> Any:
        """What a tool or a look-up brought as it may be stored.

        Raises:
            GuardBlocked: It may not.
        """
        passed = await self._passed("tool_result", self.masked(value), tool)
        await self._keep()
        refuse(passed)
        self._memory.brought = [*self._memory.brought, *texts_of(passed.value)][-KEPT:]
        return passed.value

    def note(self, text: str) -> str:
        """A result as a model will read it: it has been looked at."""
        self._seen["tool_result", text] = text
        return text

    def asks(self, point: Point) -> bool:
        """Whether a guard at this point may ask a person."""
        return bool(self.guards.at(point, "ask"))

    async def allowed(self, point: Point, text: str, tool: str = "") -> str:
        """Why a person did not let a text pass; empty where one did, or nobody had to.

        The run parks while nobody has decided.
        """
        asking = Guards(*self.guards.at(point, "ask"))
        passed = await asking.passed(point, text, tool=tool, memory=self._memory, known=self.known.mapping)
        try:
            await self._ask(passed, text)
        except GuardBlocked as refused:
            return str(refused)
        return ""

    async def decided(self, value: Any) -> Any:
        """What a person edits or answers as it may be stored.

        Raises:
            GuardBlocked: It may not.
        """
        passed = await self._passed("input", self.masked(value))
        await self._keep()
        refuse(passed)
        return passed.value

    # -- inside ---------------------------------------------------------------------------------

    async def _passed(self, point: Point, value: Any, tool: str = "") -> Passed:
        passed = await self.guards.passed(
            point, value, tool=tool, memory=self._memory, known=self.known.mapping, first=self.known.first
        )
        self.known.mapping.update(passed.mapping)
        for trip in passed.trips:
            self.tell(trip)
        return passed

    def tell(self, trip: Trip) -> None:
        """An event of what a guard found: kinds and numbers, never the words."""
        if self.scope is None:
            return
        data = {"guard": trip.guard, "point": trip.point, "action": trip.action, "kinds": dict(trip.kinds)}
        data |= {"tool": trip.tool} if trip.tool else {}
        self.scope.emit("guard_tripped", data)
        hear({"kind": "guard_tripped", "data": data})

    async def _ask(self, passed: Passed, text: str) -> None:
        from . import journal

        trip = passed.first("ask")
        if trip is None or self.scope is None:
            return
        decision = await journal.decide(self.scope, _question(self.scope, trip, self.masked(text)))
        if isinstance(decision, Reject):
            raise GuardBlocked(trip.guard, trip.point, list(trip.kinds))

    async def _keep(self) -> None:
        if self.scope is not None:
            await keep(self.scope.store, self.scope.run_id, self.known)


class _Pieces:
    """A text that is shown while it comes: held where a guard may stop it, redacted where one redacts."""

    def __init__(self, guard: RunGuard) -> None:
        guards = guard.guards
        self._held: list[str] | None = [] if guards.at("output", "block", "ask") else None
        finders: list[Any] = [one.check for one in guards.at("output", "redact")]
        plain = all(callable(check) for check in finders)
        self._stream: RedactedStream | None = None
        if self._held is None and finders and plain:
            self._stream = Redactor(finders).stream(guard.known.mapping, first=guard.known.first)
        elif finders:
            self._held = []
        self._guard, self._redactor = guard, Redactor(finders) if plain else None

    def push(self, piece: str) -> str:
        """What may be shown now."""
        if self._held is not None:
            self._held.append(piece)
            return ""
        return self._stream.push(piece) if self._stream else piece

    def end(self) -> str:
        """The rest; of a held text all, as nothing has stopped it."""
        if self._held is None:
            return self._stream.end() if self._stream else ""
        text = self._guard.masked("".join(self._held))
        if self._redactor is None:  # a check that takes its time: the whole answer has it, what is shown does not
            return ""
        redacted = self._redactor.redact(text, self._guard.known.mapping, first=self._guard.known.first)
        return redacted.value


def _question(scope: RunScope, trip: Trip, text: str) -> Question:
    payload: dict[str, Any] = {"field": trip.point, "value": text, "guard": trip.guard, "found": dict(trip.kinds)}
    key = f"{scope.run_id}/{scope.fork}/guard/{trip.guard}/{digest({'at': trip.point, 'text': text})[:16]}"
    return question(key, "review", payload, ("approve", "reject"))


def _read(call: ToolCall) -> Any:
    """The arguments of a call as JSON, or as their text where they are none."""
    try:
        return json.loads(call.arguments)
    except ValueError:
        return call.arguments


def _written(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _typed(value: Any, output: Any) -> Any:
    """The object with placeholders, which must still be of its type.

    Raises:
        GuardBlocked: It cannot be.
    """
    if output is None or value is None:
        return value
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Any] = TypeAdapter(output)
    try:
        return adapter.validate_python(adapter.dump_python(value, warnings=False))
    except ValidationError:
        raise GuardBlocked("redaction", "output", ["a placeholder that its type refuses"]) from None


def guard_of(guards: Guards | None, known: Callable[[], Placeholders]) -> RunGuard | None:
    """The guard of a run that has any."""
    return RunGuard(guards, known()) if guards else None


__all__: Sequence[str] = ("KEPT", "Placeholders", "RunGuard", "admitted", "guard_of", "keep", "kept", "refuse")
