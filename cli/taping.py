"""`run --record FILE` and `run --replay FILE`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from .text import as_json

if TYPE_CHECKING:
    from ..runs import Approval, Decision
    from ..testing.cassettes import Cassette


MEMORY = "sqlite://:memory:"
"""Where a replay keeps its run."""


@dataclass(frozen=True, slots=True)
class Tape:
    """What `run` was told about recordings."""

    record: Path | None = None
    replay: Path | None = None


NO_TAPE = Tape()


@contextmanager
def taping(tape: Tape, db: str | None) -> Generator[Cassette | None]:
    """The cassette of a command, in use; None without one.

    Raises:
        InvalidInput: Both are given, or a store for a replay, which keeps nothing.
        CassetteError: There is no such recording, or it cannot be written.
    """
    path = tape.record or tape.replay
    if path is None:
        yield None
        return
    if tape.record and tape.replay:
        raise InvalidInput("--replay", "a run is recorded or replayed, not both; leave one of them out.")
    if tape.replay and db:
        raise InvalidInput("--db", "a replay stores nothing; leave it out.")
    from ..testing.cassettes import Cassette

    with Cassette(path, mode="record" if tape.record else "replay") as cassette:
        yield cassette


def input_of(cassette: Cassette | None, gather: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was typed; in a replay, what was recorded where nothing was.

    Raises:
        InvalidInput: The input does not fit.
    """
    known = cassette.notes.get("input") if cassette is not None and cassette.replaying else None
    return gather() or dict(known or {})


def decided_in(cassette: Cassette) -> Callable[[Approval], Awaitable[Decision | None]]:
    """Answers what a person had answered when the recording was made."""

    async def decide(approval: Approval) -> Decision | None:
        return cassette.decision_on(approval.approval_id)

    return decide


def note(cassette: Cassette | None, target: str, values: Mapping[str, Any]) -> None:
    """Write down what was run."""
    if cassette is not None and not cassette.replaying:
        cassette.notes.update(target=target, input=as_json(dict(values)))
