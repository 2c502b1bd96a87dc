"""The books of an index: which sources it holds, their texts, and their passages. SQLite, one file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ..core.errors import IndexBusy, KnowledgeError
from .loading import Document
from .passages import Passage
from .repeats import sketch

FILE = "catalog.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (
    source TEXT PRIMARY KEY, file_digest TEXT NOT NULL, text TEXT NOT NULL, problem TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passage (
    source TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, passage_id TEXT NOT NULL,
    heading TEXT NOT NULL, search_text TEXT NOT NULL, page INTEGER, sketch BLOB,
    PRIMARY KEY (source, start)
) WITHOUT ROWID;
"""
_LATER = (
    ("passage", "page", "INTEGER"),
    ("passage", "sketch", "BLOB"),
    ("source", "problem", "TEXT NOT NULL DEFAULT ''"),
)
"""Columns that older books lack."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage and the text by which it is found."""

    passage: Passage
    search_text: str


class Catalog:
    """An open catalogue; use it in the thread that opened it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._pages: dict[str, str] = {}

    def meta(self, key: str, default: str = "") -> str:
        """A remembered setting."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else default

    def set_meta(self, key: str, value: str) -> None:
        """Remember a setting."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def identity(self) -> str:
        """Tells this index from all others, of its name too; made when it is first asked for."""
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (uuid4().hex[:16],))
        return self.meta("identity")

    @property
    def generation(self) -> int:
        """Counts the ingestions that changed something; names the snapshot that belongs to the books."""
        return int(self.meta("generation", "0"))

    def digests(self) -> dict[str, str]:
        """Source to digest of its file."""
        return dict(self._db.execute("SELECT source, file_digest FROM source").fetchall())

    def problems(self) -> dict[str, str]:
        """Source to what of its file could not be read, where that is something."""
        return dict(self._db.execute("SELECT source, problem FROM source WHERE problem != ''").fetchall())

    def text(self, source: str) -> str | None:
        """The text that spans of a source count in."""
        row = self._db.execute("SELECT text FROM source WHERE source = ?", (source,)).fetchone()
        return None if row is None else str(row[0])

    def count(self) -> int:
        """How many passages there are."""
        return int(self._db.execute("SELECT count(*) FROM passage").fetchone()[0])

    def passage_ids(self) -> set[str]:
        """The ids of all passages."""
        return {passage_id for (passage_id,) in self._db.execute("SELECT passage_id FROM passage")}

    def entries(self) -> Iterator[Entry]:
        """All passages, in the order of the snapshot's rows; they are read as they are asked for."""
        for (source,) in self._db.execute("SELECT source FROM source ORDER BY source"):
            yield from self.entries_of(source)

    def entries_of(self, source: str, schema: str = "main") -> Iterator[Entry]:
        """The passages of one source, in order; `schema` is where an attached catalogue is."""
        (text,) = self._db.execute(f"SELECT text FROM {schema}.source WHERE source = ?", (source,)).fetchone()
        if schema not in self._pages:
            self._pages[schema] = "page" if "page" in _columns(self._db, "passage", schema) else "NULL"
        rows = self._db.execute(
            f"SELECT start, stop, passage_id, heading, search_text, {self._pages[schema]} FROM {schema}.passage"
            " WHERE source = ? ORDER BY start",
            (source,),
        )
        for start, end, passage_id, heading, search_text, number in rows:
            passage = Passage(
                passage_id=passage_id,
                source=source,
                start=start,
                end=end,
                text=text[start:end],  # SQLite's substr would count from the text's beginning for each passage
                heading=heading,
                page=number,
            )
            yield Entry(passage, search_text)

    def sketches_of(self, source: str, schema: str = "main") -> Iterator[bytes]:
        """What tells repeats, for the passages of one source, in order."""
        rows = self._db.execute(f"SELECT sketch FROM {schema}.passage WHERE source = ? ORDER BY start", (source,))
        found = [kept for (kept,) in rows]
        if None in found:  # from before there were sketches
            found = [sketch(entry.passage.text) for entry in self.entries_of(source, schema)]
        yield from found

    def remove(self, sources: Iterable[str]) -> None:
        """Forget sources and their passages."""
        for source in sources:
            self._db.execute("DELETE FROM passage WHERE source = ?", (source,))
            self._db.execute("DELETE FROM source WHERE source = ?", (source,))

    def add(self, document: Document, file_digest: str, entries: Sequence[Entry]) -> None:
        """Put a source in, in place of what was there."""
        self.remove([document.source])
        self._db.execute(
            "INSERT INTO source (source, file_digest, text, problem) VALUES (?, ?, ?, ?)",
            (document.source, file_digest, document.text, document.problem),
        )
        self._db.executemany(
            "INSERT INTO passage (source, start, stop, passage_id, heading, search_text, page, sketch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (p.source, p.start, p.end, p.passage_id, p.heading, entry.search_text, p.page, sketch(p.text))
                for entry in entries
                for p in [entry.passage]
            ],
        )


@contextmanager
def reading(folder: Path, name: str) -> Generator[Catalog]:
    """The books as they are at one moment; nobody who writes is waited for.

    Raises:
        KnowledgeError: There is no such index, or its books cannot be read.
    """
    if not (folder / FILE).is_file():
        raise KnowledgeError(
            f"index {name!r}", f"there is none in {folder}; make it: collegium ingest PATH --into {name}"
        )
    # SQLite makes a file beside the books while it reads them; where that is not allowed, nobody writes either
    fixed = not os.access(folder, os.W_OK)
    with opened(folder / FILE, name, fixed=fixed) as connection:
        connection.execute("BEGIN")
        yield Catalog(connection)


def prepare(folder: Path, name: str) -> None:
    """Make the books where there are none, and bring older ones up to date.

    Raises:
        KnowledgeError: The books cannot be opened or written.
    """
    books = folder / FILE
    if books.is_file():
        with opened(books, name) as connection:
            create(connection)
        return
    # new books appear with their tables at once, so that no reader finds them half made
    draft = folder / f"{FILE}.new"
    draft.unlink(missing_ok=True)
    with opened(draft, name) as connection:
        create(connection)
    draft.replace(books)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a catalogue, where they are not there or are older.

    With a write-ahead log, as readers go on with what they had while somebody writes.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_SCHEMA)
    for table, column, kind in _LATER:
        if column not in _columns(connection, table):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def _columns(connection: sqlite3.Connection, table: str, schema: str = "main") -> set[str]:
    return {column[1] for column in connection.execute(f"PRAGMA {schema}.table_info({table})")}


@contextmanager
def only_writer(folder: Path, name: str) -> Generator[None]:
    """Hold the index for writing; let go when the block, or the process, ends.

    Two writers at once damage a Chroma folder, so the second is refused at once. SQLite's own file lock is
    used, on a file that stays empty: it works on every system and dies with its process.

    Raises:
        IndexBusy: Somebody else is writing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "writer.lock", timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise IndexBusy(name) from error
        yield


@contextmanager
def opened(file: Path, name: str, *, fixed: bool = False) -> Generator[sqlite3.Connection]:
    """A connection that begins no transaction by itself.

    Args:
        file: The database.
        name: Of the index, for errors.
        fixed: Whether it stands where nothing can be written.

    Raises:
        KnowledgeError: SQLite cannot open, read or write the file.
    """
    try:
        place = f"{file.absolute().as_uri()}{'?immutable=1' if fixed else ''}"
        with closing(sqlite3.connect(place, uri=True, timeout=30, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise KnowledgeError(
            f"index {name!r}", f"its catalogue in {file.parent} cannot be used ({error}); ingest into a new one."
        ) from error
