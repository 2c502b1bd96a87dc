"""What a new version of a graph would do to the runs that a store holds, worked out on a copy of the store."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory
from typing import Literal

from ..core.errors import CorruptState, GraphChanged
from .fitting import fit
from .registry import Registry
from .store import Store, runs
from .store.problems import translate
from .store.schema import refuse_foreign
from .target import AnyGraph

Outcome = Literal["goes_on", "migrated", "stranded"]


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would become of one run."""

    run_id: str
    status: str
    version: str
    """The version that it was stored with."""
    outcome: Outcome
    reason: str = ""
    """Why it is stranded."""


async def prospects(store: Store, graph: AnyGraph) -> list[Prospect]:
    """What would become of each run of a graph's name that has not ended well, oldest first.

    The store's file is only read: a copy of it, as it is at this moment, is looked at. Functions of migrations are
    called with the real values.

    Args:
        store: Need not be open.
        graph: The new version.

    Raises:
        StoreUnavailable: The file is no store, is newer, or cannot be read.
    """
    if store.path is None:
        return await _of(store, graph)
    with TemporaryDirectory(prefix="collegium-") as folder:
        copy = Path(folder) / store.path.name
        await asyncio.to_thread(_copy, store.path, copy)
        copied = Store(f"sqlite:///{copy}", key=store.key)
        await copied.open()
        try:
            return await _of(copied, graph)
        finally:
            await copied.close()


def _copy(path: Path, copy: Path) -> None:
    try:
        refuse_foreign(path)
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except (sqlite3.Error, OSError) as error:
        raise translate(error, str(path)) from error


async def _of(store: Store, graph: AnyGraph) -> list[Prospect]:
    registry = Registry([graph])
    name = registry.names[0]

    def read(conn: Connection) -> list[str]:
        return runs.resumable(conn, graph=name)

    return [await _prospect(store, registry, run_id) for run_id in await store.read(read)]


async def _prospect(store: Store, registry: Registry, run_id: str) -> Prospect:
    row = None
    try:
        row = await store.read(lambda conn: runs.get(conn, run_id))
        found = await fit(store, registry, row)
    except GraphChanged as error:
        reason = error.what
    except CorruptState as error:
        reason = str(error)
    else:
        outcome: Outcome = "migrated" if found.how == "migrated" else "goes_on"
        return Prospect(run_id, row.status, row.version, outcome)
    return Prospect(run_id, row.status if row else "damaged", row.version if row else "", "stranded", reason)
