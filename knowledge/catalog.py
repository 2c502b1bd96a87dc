"""The books of an index: which sources it holds, their texts, and their passages. SQLite, one file."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import IndexBusy, KnowledgeError
from .loading import Document
from .passages import Passage

FILE = "catalog.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (
    source TEXT PRIMARY KEY, file_digest TEXT NOT NULL, text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passage (
    source TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, passage_id TEXT NOT NULL,
    heading TEXT NOT NULL, search_text TEXT NOT NULL, page INTEGER, PRIMARY KEY (source, start)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage and the text by which it is found."""

    passage: Passage
    search_text: str


class Catalog:
    """An open catalogue; use it in the thread that opened it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def meta(self, key: str, default: str = "") -> str:
        """A remembered setting."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else default

    def set_meta(self, key: str, value: str) -> None:
        """Remember a setting."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Counts the ingestions that changed something; names the snapshot that belongs to the books."""
        return int(self.meta("generation", "0"))

    def digests(self) -> dict[str, str]:
        """Source to digest of its file."""
        return dict(self._db.execute("SELECT source, file_digest FROM source").fetchall())

    def text(self, source: str) -> str | None:
        """The text that spans of a source count in."""
        row = self._db.execute("SELECT text FROM source WHERE source = ?", (source,)).fetchone()
        return None if row is None else str(row[0])

    def count(self) -> int:
        """How many passages there are."""
        return int(self._db.execute("SELECT count(*) FROM passage").fetchone()[0])

    def entries(self) -> list[Entry]:
        """All passages, in the order of the snapshot's rows."""
        page = "p.page" if _has_pages(self._db) else "NULL"
        rows = self._db.execute(
            f"SELECT p.passage_id, p.source, p.start, p.stop, p.heading, p.search_text, {page},"
            " substr(s.text, p.start + 1, p.stop - p.start)"
            " FROM passage p JOIN source s USING (source) ORDER BY p.source, p.start"
        )
        return [
            Entry(
                Passage(passage_id=id_, source=source, start=start, end=stop, text=text, heading=heading, page=page),
                search_text,
            )
            for id_, source, start, stop, heading, search_text, page, text in rows
        ]

    def remove(self, sources: Iterable[str]) -> None:
        """Forget sources and their passages."""
        for source in sources:
            self._db.execute("DELETE FROM passage WHERE source = ?", (source,))
            self._db.execute("DELETE FROM source WHERE source = ?", (source,))

    def add(self, document: Document, file_digest: str, entries: Sequence[Entry]) -> None:
        """Put a source in, in place of what was there."""
        self.remove([document.source])
        self._db.execute("INSERT INTO source VALUES (?, ?, ?)", (document.source, file_digest, document.text))
        self._db.executemany(
            "INSERT INTO passage (source, start, stop, passage_id, heading, search_text, page)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (p.source, p.start, p.end, p.passage_id, p.heading, entry.search_text, p.page)
                for entry in entries
                for p in [entry.passage]
            ],
        )


@contextmanager
def reading(folder: Path, name: str) -> Generator[Catalog]:
    """The books as they are at one moment.

    Raises:
        KnowledgeError: There is no such index, or its books cannot be read.
    """
    if not (folder / FILE).is_file():
        raise KnowledgeError(
            f"index {name!r}", f"there is none in {folder}; make it: collegium ingest PATH --into {name}"
        )
    with _open(folder, name) as connection:
        connection.execute("BEGIN")
        yield Catalog(connection)


@contextmanager
def writing(folder: Path, name: str) -> Generator[Catalog]:
    """The books in one transaction: all of it happens, or nothing.

    Raises:
        KnowledgeError: The books cannot be opened or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _make(folder, name)
    with _open(folder, name) as connection:
        connection.executescript(_SCHEMA)
        if not _has_pages(connection):
            connection.execute("ALTER TABLE passage ADD COLUMN page INTEGER")
        connection.execute("BEGIN IMMEDIATE")
        yield Catalog(connection)
        connection.execute("COMMIT")


def _has_pages(connection: sqlite3.Connection) -> bool:
    """Whether the books were made since passages know their page."""
    return any(column[1] == "page" for column in connection.execute("PRAGMA table_info(passage)"))


def _make(folder: Path, name: str) -> None:
    """Books that are not there yet appear with their tables at once, so that no reader finds them half made."""
    if (folder / FILE).is_file():
        return
    draft = folder / f"{FILE}.new"
    draft.unlink(missing_ok=True)
    with _open(folder, name, draft.name) as connection:
        connection.executescript(_SCHEMA)
    draft.replace(folder / FILE)


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
def _open(folder: Path, name: str, file: str = FILE) -> Generator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(folder / file, timeout=30, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise KnowledgeError(
            f"index {name!r}", f"its catalogue in {folder} cannot be used ({error}); ingest into a new one."
        ) from error
