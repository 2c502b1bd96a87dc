"""What an ingestion has read and not published yet: a catalogue beside the catalogue.

Files are read into it in small transactions, so that memory stays flat and an ingestion that was stopped goes
on where it stood; then all of it moves into the books in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import KnowledgeError
from .catalog import FILE as CATALOG
from .catalog import Catalog, Entry, create, opened
from .loading import Document

FILE = "staging.db"
COMMIT = 2_000_000
"""Characters of text between two commits."""


class Staging:
    """Staged sources beside the published ones, which it sees but changes in `publish` only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._staged = Catalog(connection)
        self._waiting = 0

    def digests(self) -> Mapping[str, str]:
        """Source to digest of the files that are staged."""
        return self._staged.digests()

    def problems(self) -> Mapping[str, str]:
        """Source to what of a staged file could not be read."""
        return self._staged.problems()

    def add(self, document: Document, file_digest: str, entries: Sequence[Entry]) -> None:
        """Stage a source."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN")
        self._staged.add(document, file_digest, entries)
        self._waiting += len(document.text)
        if self._waiting > COMMIT:
            self.flush()

    def flush(self) -> None:
        """Commit what was added."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        self._waiting = 0

    def settle(self, wanted: Iterable[str], removed: Iterable[str]) -> None:
        """Keep the staged sources that are wanted, and note which published ones go."""
        self.flush()
        self._staged.remove(sorted(self.digests().keys() - set(wanted)))
        self._db.execute("CREATE TEMP TABLE gone (source TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("INSERT INTO gone SELECT source FROM main.source")
        self._db.executemany("INSERT OR IGNORE INTO gone VALUES (?)", [(source,) for source in removed])

    def count(self) -> int:
        """How many passages are staged."""
        return self._staged.count()

    def entries(self) -> Iterator[Entry]:
        """The staged passages."""
        return self._staged.entries()

    def merged(self) -> Iterator[Entry]:
        """All passages as they will be once this is published, in the order of the snapshot's rows."""
        for source, schema in self._merged_sources():
            yield from self._staged.entries_of(source, schema)

    def sketches(self) -> Iterator[bytes]:
        """What tells repeats, in the same order."""
        for source, schema in self._merged_sources():
            yield from self._staged.sketches_of(source, schema)

    def _merged_sources(self) -> sqlite3.Cursor:
        return self._db.execute(
            "SELECT source, 'main' FROM main.source UNION ALL"
            " SELECT source, 'held' FROM held.source WHERE source NOT IN (SELECT source FROM gone) ORDER BY source"
        )

    def merged_count(self) -> int:
        """How many passages there will be."""
        kept = "SELECT count(*) FROM held.passage WHERE source NOT IN (SELECT source FROM gone)"
        return self.count() + int(self._db.execute(kept).fetchone()[0])

    def publish(self, meta: Mapping[str, str]) -> None:
        """Move everything into the books, with these settings, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        for table in ("passage", "source"):
            self._db.execute(f"DELETE FROM held.{table} WHERE source IN (SELECT source FROM gone)")
        self._db.execute(
            "INSERT INTO held.source (source, file_digest, text, problem)"
            " SELECT source, file_digest, text, problem FROM main.source"
        )
        columns = "source, start, stop, passage_id, heading, search_text, page, sketch"
        self._db.execute(f"INSERT INTO held.passage ({columns}) SELECT {columns} FROM main.passage")
        self._db.executemany("INSERT OR REPLACE INTO held.meta VALUES (?, ?)", list(meta.items()))
        self._db.execute("COMMIT")


@contextmanager
def staging(folder: Path, name: str, signature: str) -> Generator[Staging]:
    """What an ingestion of this signature had staged, or nothing; it goes when the block ends well.

    Raises:
        KnowledgeError: The folder cannot be written, or the catalogue not be read.
    """
    file = folder / FILE
    if not _usable(file, signature):
        _delete(file)
    with opened(file, name) as connection:
        _prepare(connection, signature)
        connection.execute("ATTACH ? AS held", (str(folder / CATALOG),))
        yield Staging(connection)
    _delete(file)


def _usable(file: Path, signature: str) -> bool:
    try:
        with opened(file, "staging") as connection:
            return bool(connection.execute("SELECT 1 FROM meta WHERE value = ?", (signature,)).fetchone())
    except KnowledgeError:
        return False  # a crash of the machine can damage it; it is made again


def _prepare(connection: sqlite3.Connection, signature: str) -> None:
    create(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    Catalog(connection).set_meta("signature", signature)


def _delete(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{file}{suffix}").unlink()
