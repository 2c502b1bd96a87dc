"""How long finished runs are kept, and what is removed of them then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from ..core.errors import CollegiumError, CorruptState, InvalidInput, StoreUnavailable
from .engine import Engine
from .store import Store, compacting, retention, workers
from .store.retention import Chosen, Removed, Wanted

log = logging.getLogger(__name__)

BATCH = 10
"""Threads in one transaction: others that write wait some 15 ms for it (1.5 ms a run, measured)."""

EVERY_S = 3600.0
"""Between two prunes of a Runner that prunes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is to be removed of finished runs; runs that are not finished are never touched."""

    older_than: timedelta | None = None
    """Runs that finished so long ago lose their state, checkpoints and events; their record, what was decided and what
    they did stays."""
    keep: int | None = None
    """So do those beyond the newest so many that are done or cancelled."""
    history: Literal["keep", "drop"] = "keep"
    """drop: all others that are done or cancelled keep of their checkpoints only the latest, and fork points."""

    def rule(self, now: datetime) -> Wanted:
        """What that means at a moment."""
        before = None if self.older_than is None else now - self.older_than
        return Wanted(before=before, keep=self.keep, history=self.history == "drop")

    def checked(self) -> Retention:
        """This, if it says anything and makes sense.

        Raises:
            InvalidInput: It does not; the error names the field.
        """
        if self.older_than is None and self.keep is None and self.history == "keep":
            raise InvalidInput("older_than", 'nothing says what to prune. Give older_than, keep, or history="drop".')
        if self.older_than is not None and self.older_than < timedelta(0):
            raise InvalidInput("older_than", f"{self.older_than} is below 0.")
        if self.keep is not None and self.keep < 0:
            raise InvalidInput("keep", f"{self.keep} is below 0.")
        if self.history not in ("keep", "drop"):
            raise InvalidInput("history", f"{self.history!r} is not one of keep, drop.")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a prune removed, or with `dry_run` would remove."""

    runs: int
    """Runs that lost their state, checkpoints and events."""
    history: int
    """Runs that lost all checkpoints but the latest."""
    checkpoints: int
    freed_bytes: int
    """By which the file is shorter."""
    free_bytes: int
    """Bytes of the file that hold nothing; new runs fill them first."""
    damaged: tuple[str, ...] = ()
    """Threads that were left as they are, as a record of them is damaged: what is wrong, a line each."""
    dry_run: bool = False


async def prune(engine: Engine, wanted: Retention, *, dry_run: bool = False, compact: bool = False) -> Pruned:
    """Remove what may go, in short transactions beside whoever works on the store.

    Args:
        engine: The services of the Runner.
        wanted: What to remove.
        dry_run: Only say what would go.
        compact: Give the space back, where enough is free and no other worker would have to wait.

    Raises:
        InvalidInput: Nothing says what to remove.
        StoreError: The store cannot be used; of each run, all is gone that was to go, or nothing.
    """
    store, now, damaged = engine.store, engine.clock.now(), list[str]()
    chosen = await store.read(partial(retention.survey, wanted=wanted.checked().rule(now)))
    removed = Removed()
    for start in range(0, len(chosen), BATCH):
        removed += await _removed(store, chosen[start : start + BATCH], now, damaged, dry_run=dry_run)
    if not dry_run:
        for run_id in removed.runs:
            engine.forget(run_id)
    return Pruned(
        runs=len(removed.runs),
        history=removed.history,
        checkpoints=removed.checkpoints,
        freed_bytes=await _compact(engine) if compact and not dry_run else 0,
        free_bytes=await store.read(compacting.free_bytes),
        damaged=tuple(damaged),
        dry_run=dry_run,
    )


async def keep_pruning(engine: Engine, wanted: Retention) -> None:
    """Prune now and then, until cancelled."""
    while True:
        try:
            await prune(engine, wanted)
        except CollegiumError as error:
            log.warning("%s could not be pruned: %s", engine.store.name, error)
        await asyncio.sleep(EVERY_S)


async def _removed(
    store: Store, chosen: Sequence[Chosen], now: datetime, damaged: list[str], *, dry_run: bool
) -> Removed:
    """Prune these threads in one transaction, or where a record of them is damaged, each of the others in its own."""
    try:
        if dry_run:
            return await store.read(lambda conn: retention.would_remove(conn, chosen))
        return await store.write(lambda conn: retention.prune(conn, chosen, now=now))
    except CorruptState as error:
        if len(chosen) == 1:
            damaged.append(str(error))
            return Removed()
    removed = Removed()
    for one in chosen:
        removed += await _removed(store, [one], now, damaged, dry_run=dry_run)
    return removed


async def _compact(engine: Engine) -> int:
    """Write the file anew, where that gives much back and only this worker uses it; returns the bytes given back."""
    store = engine.store
    alive = await store.read(workers.listing)
    others = any(worker.worker_id != engine.worker_id for worker in alive)
    if store.path is None or others or not await store.read(compacting.is_worth_it):
        return 0
    before = await store.read(compacting.total_bytes)
    try:
        await asyncio.to_thread(compacting.compact, store.path, store.busy_s, store.key)
    except StoreUnavailable as error:  # what was to go is gone; the file keeps its length
        log.warning("the free space of %s could not be given back: %s", store.name, error)
    return max(before - await store.read(compacting.total_bytes), 0)
