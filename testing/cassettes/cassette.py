"""`Cassette`: one recording, being made or played back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Literal, Self

from ...core.errors import CassetteError, CassetteMismatch
from ...core.tape import put_in, take_out
from ...runs import Approval, Decision, decision_from_json
from . import file
from .differing import difference, likeness
from .file import Entry, Recording
from .placing import place
from .playing import Line, Player, without_task_ids
from .scrubbing import Scrubber

Mode = Literal["record", "replay"]

_WORDS = {"model": "model call", "tool": "tool call", "question": "question to a person"}


class Cassette:
    """Records runs to a file, or replays them from it, for as long as it is entered.

        with Cassette("tests/refund.json", mode="record"):
            run = await graph.run({"ticket": "…"})

    All runs of the process go through it. In a replay nothing outside is asked: no model, no tool body, no index,
    no person; a request that differs from the recorded one is refused, and at the end nothing may be left over.
    The file is written when a recording is left without an exception, all or nothing.

    Args:
        path: The file.
        mode: `record`, or `replay`.
        secrets: Values that must not be written, beside those that `Scrubber` finds; or names and values.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: Mode = "replay",
        secrets: Iterable[str] | Mapping[str, str] = (),
    ) -> None:
        self.path = Path(path)
        self.mode: Mode = mode
        self.held: dict[object, Any] = {}
        self._scrubber = Scrubber(secrets)
        self._recording = Recording()
        self._player: Player | None = None
        self._given: dict[str, int] = {}
        """By prefix: how many ids were handed out."""
        self._mismatch: CassetteMismatch | None = None
        self._dropped = False
        self._lock = Lock()

    def __enter__(self) -> Self:
        if self.replaying:
            self._recording = file.load(self.path)
            for entry in self._recording.entries:
                entry.played = False
            self._player = Player(self._recording.lines, self._scrubber.json, self._recording.started)
        else:
            self._recording = Recording()
        self._given, self._mismatch, self._dropped = {}, None, False
        put_in(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        take_out(self)
        self.held.clear()
        if not self.replaying:
            if error is None and not self._dropped:
                self.save()
            return
        if self._mismatch is not None and error is not self._mismatch:
            raise self._mismatch from error
        if error is None and not self._dropped:
            self.check_end()

    @property
    def replaying(self) -> bool:
        """Whether it answers in place of the outside."""
        return self.mode == "replay"

    @property
    def notes(self) -> dict[str, Any]:
        """What the recorder wants to find again; written with the recording."""
        return self._recording.notes

    @property
    def mismatch(self) -> CassetteMismatch | None:
        """The first difference of this replay, wherever it was caught."""
        return self._mismatch

    def save(self) -> None:
        """Write what was recorded so far.

        Raises:
            CassetteError: The file cannot be written.
        """
        self._recording.notes = self._scrubber.json(self._recording.notes)
        try:
            file.save(self._recording, self.path)
        except OSError as error:
            raise CassetteError(str(self.path), f"it cannot be written: {error.strerror or error}.") from error

    def drop(self) -> None:
        """Write nothing at the end, and let things be left over: the run was not whole."""
        self._dropped = True

    def check_end(self) -> None:
        """See that everything recorded was asked for.

        Raises:
            CassetteMismatch: An entry is left over; or an earlier difference was caught by somebody.
        """
        if self._mismatch is not None:
            raise self._mismatch
        left = [entry for entry in self._recording.entries if not entry.played]
        if left:
            more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
            raise self._differs(left[0].kind, left[0].place, f"it was recorded, and the replay did not ask it{more}.")

    async def decide(self, approval: Approval) -> Decision:
        """The decision that was recorded for an approval; an approver for `graph.run`.

        Raises:
            CassetteMismatch: None was.
        """
        decision = self.decision_on(approval.approval_id)
        if decision is None:
            raise self._differs("decision", "", f"nobody had decided {approval.approval_id}.")
        return decision

    def decision_on(self, approval_id: str) -> Decision | None:
        """What a person decided when the recording was made; None where nobody did."""
        decided = (e.request for e in self._recording.entries if e.kind == "decision")
        found = next((one for one in decided if one["approval_id"] == approval_id), None)
        return decision_from_json(found["decision"]) if found else None

    # -- what core.tape asks ------------------------------------------------------------------

    def play(self, kind: str, request: Any) -> dict[str, Any]:
        """What came of exactly this request at this place; each entry is played once.

        Raises:
            CassetteMismatch: The recording holds another request here, or none.
        """
        asked, where = self._plain(request), place()
        with self._lock:
            here = [e for e in self._recording.entries if e.kind == kind and e.place == where and not e.played]
            entry = next((entry for entry in here if without_task_ids(entry.request) == asked), None)
            if entry is None:
                raise self._unlike(kind, where, asked, here)
            entry.played = True
            return entry.came

    def keep(self, kind: str, request: Any, came: dict[str, Any]) -> None:
        """Note what came of a request."""
        entry = Entry(kind, place(), self._scrubber.json(request), self._scrubber.json(came))
        with self._lock:
            self._recording.entries.append(entry)

    def clean(self, value: Any) -> Any:
        """JSON types without secrets, as they are written."""
        return self._scrubber.json(value)

    def fact(self, kind: str, name: str) -> Any:
        """What was noted under a name; None where nothing was."""
        return self._recording.facts.get(kind, {}).get(self._scrubber.text(name))

    def keep_fact(self, kind: str, name: str, value: Any) -> None:
        """Note what holds throughout."""
        self._recording.facts.setdefault(kind, {})[self._scrubber.text(name)] = self._scrubber.json(value)

    def now(self) -> datetime:
        """The time of the last event."""
        return self._player.now if self._player else datetime.now(UTC)

    def new_id(self, prefix: str) -> str | None:
        """The next recorded id of a prefix; None when there is none."""
        with self._lock:
            given = self._given.get(prefix, 0)
            self._given[prefix] = given + 1
        known = self._recording.ids.get(prefix, [])
        return known[given] if given < len(known) else None

    def keep_id(self, prefix: str, made: str) -> None:
        """Note an id."""
        with self._lock:
            self._recording.ids.setdefault(prefix, []).append(made)

    def arrange(self, events: Sequence[Any], *, rest: bool = False) -> list[Any]:
        """The events to publish: noted as they are, or put into the recorded order."""
        with self._lock:
            if self._player is not None:
                return self._player.arrange(events, rest=rest)
            self._recording.lines += [Line.of(event, self._scrubber.json) for event in events if event.seq]
            return list(events)

    # -- inside -------------------------------------------------------------------------------

    def _plain(self, request: Any) -> Any:
        return without_task_ids(self._scrubber.json(request))

    def _unlike(self, kind: str, where: str, asked: Any, here: Sequence[Entry]) -> CassetteMismatch:
        if not here:
            many = sum(e.kind == kind and e.place == where for e in self._recording.entries)
            known = f"the recording has {many or 'none'} here" + (", all played" if many else "")
            return self._differs(kind, where, f"{known}; asked was {_shortened(asked)}")
        nearest = max(here[:20], key=_likeness_to(asked))
        return self._differs(kind, where, difference(without_task_ids(nearest.request), asked))

    def _differs(self, kind: str, where: str, what: str) -> CassetteMismatch:
        place = f"{_WORDS.get(kind, kind)} of node {where!r}" if where else _WORDS.get(kind, kind)
        error = CassetteMismatch(str(self.path), place, what)
        self._mismatch = self._mismatch or error
        return error


def _likeness_to(asked: Any) -> Callable[[Entry], float]:
    return lambda entry: likeness(without_task_ids(entry.request), asked)


def _shortened(asked: Any) -> str:
    text = difference(None, asked)
    return text if len(text) <= 200 else f"{text[:200]}…"
