"""What runs are found by: their tags, and those values of their metadata that are text, numbers or truth values.

One row for each, ordered by run within a name and value, so that a page of the runs that have it is read from one
place of the index. The run's own record holds tags and metadata too, sealed; these rows only lead to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .codec import to_json
from .rows import RunRow
from .sealing import cipher_of

Label = tuple[str, str]
"""Name and value; a tag has an empty name, a value of the metadata is JSON text."""

_HAS = "EXISTS (SELECT 1 FROM run_label AS label WHERE label.name=? AND label.value=? AND label.seq=run.seq)"


@dataclass(frozen=True, slots=True)
class Source:
    """From what a page of runs is read."""

    tables: str
    order: str
    """The column that tells newer runs from older ones in the index that is read."""

    def having(self, wanted: Sequence[tuple[str, str | bytes]]) -> tuple[list[str], list[Any]]:
        """Tests for the runs that have all these labels, and their values."""
        tests = [_HAS] * len(wanted)
        if self is EACH:
            tests[0] = "first.name=? AND first.value=?"
        return tests, [part for label in wanted for part in label]


ALL = Source("run", "run.seq")
"""All runs, each looked at for its labels."""

EACH = Source("run_label AS first CROSS JOIN run ON run.seq = first.seq", "first.seq")
"""Those that have the first label. CROSS JOIN: SQLite would else read the runs first, perhaps all of a status."""

_PUT = "INSERT INTO run_label VALUES (?, ?, ?)"


def labels_of(tags: Sequence[str], metadata: Mapping[str, Any]) -> list[Label]:
    """The labels that these tags and this metadata make; metadata first, as it tells more runs apart."""
    return [*_described(metadata), *(("", tag) for tag in tags)]


def write(conn: sqlite3.Connection, seq: int, row: RunRow) -> None:
    """Store the labels of a run that is stored as number `seq`."""
    if row.tags or row.metadata:
        conn.executemany(_PUT, [(*label, seq) for label in kept(conn, labels_of(row.tags, row.metadata))])


def kept(conn: sqlite3.Connection, labels: Sequence[Label]) -> Sequence[tuple[str, str | bytes]]:
    """Labels as this store keeps them; where it is encrypted, equal values of a name are still stored alike."""
    cipher = cipher_of(conn)
    if cipher is None:
        return labels
    return [(name, cipher.seal_same(value, "run_label", name)) for name, value in labels]


def _described(metadata: Mapping[str, Any]) -> Iterator[Label]:
    for name, value in metadata.items():
        if isinstance(value, str | int | float):
            yield name, to_json(value)
