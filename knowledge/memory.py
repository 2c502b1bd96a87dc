"""What is remembered across threads: notes, each a file of its own, in an index like any other."""

from __future__ import annotations

import asyncio
import glob
import os
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..core.context import current_run
from ..core.errors import IndexBusy, InvalidInput
from .index import Index
from .passages import Passage
from .ranking import Where

MAX_CHARACTERS = 2000
"""Of one note: a fact, a preference, a decision. Longer texts are documents."""
_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Between the tries to bring the index up to date while somebody else writes to it."""


class Note(BaseModel):
    """Something remembered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note_id: str
    """From its words: the same words are one note."""
    text: str
    source: str
    """Its file, as passages of the index name it."""
    made: datetime


class Memory:
    """Notes that outlive the thread in which they were made, found by meaning.

    They lie in the folder `notes` of an index, as small Markdown files, and are passages of that index: a search in
    it finds them, and an answer may cite them. Give each person an index of their own: whoever may use a memory can
    read all of it.

    Args:
        index: Where the notes are kept and looked up; it may hold documents too.
    """

    def __init__(self, index: Index) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"Memory({self.index!r})"

    @property
    def folder(self) -> Path:
        """Where the notes' files are."""
        return Path(os.path.abspath(self.index.folder / "notes"))

    def notes(self) -> list[Note]:
        """All notes, the oldest first."""
        found = [note for path in self.folder.glob("n*.md") if (note := _read(path))]
        return sorted(found, key=lambda note: (note.made, note.note_id))

    async def remember(self, text: str) -> Note:
        """Keep a note. What is remembered already is not kept twice, and keeps its time.

        It is on the disk when this returns. While somebody else writes to the index for more than some seconds, it
        is found only after the next `remember`, `recall` or `forget`.

        Raises:
            InvalidInput: The text is empty, too long, or no text.
            KnowledgeError: The index cannot be used.
        """
        kept = _checked(text)
        path = self.folder / f"{_id_of(kept)}.md"
        await asyncio.to_thread(_write, path, kept)
        await self._update()
        return _read(path) or Note(note_id=path.stem, text=kept, source=str(path), made=datetime.now(UTC))

    async def recall(self, query: str, k: int = 5) -> list[Passage]:
        """The `k` notes that fit best, best first; never one that was forgotten.

        Raises:
            KnowledgeError: The index cannot be used.
            InvalidInput: `k` is below 1.
        """
        await self._update()
        held, here = await asyncio.to_thread(lambda: (self._held(), self._files()))
        if not here:
            return []
        where = Where(source=f"{glob.escape(str(self.folder))}{os.sep}n*.md")
        found = await self.index.search(query, k + len(held - here), where=where)
        return [one for one in found if one.source in here][:k]

    async def forget(self, note_id: str) -> bool:
        """Remove a note: its file, its passages and their vectors. Whether there was one.

        Raises:
            KnowledgeError: The index cannot be used.
        """
        path = self.folder / f"{note_id}.md"
        there = str(path) in await asyncio.to_thread(self._files)
        if there:
            await asyncio.to_thread(path.unlink, True)
        await self._update()
        return there

    def _files(self) -> set[str]:
        return {str(path) for path in self.folder.glob("n*.md")}

    def _held(self) -> set[str]:
        return {source for source in self.index.sources() if Path(source).parent == self.folder}

    def _is_stale(self) -> bool:
        return self._held() != self._files()

    async def _update(self) -> None:
        """Bring the index up to date with the files."""
        run = current_run.set(None)  # a run need not hear of each note that is read again
        try:
            for wait in (*_WAITS_S, None):
                if not await asyncio.to_thread(self._is_stale):
                    return
                try:
                    await self.index.ingest(self.folder)
                    return
                except IndexBusy:
                    if wait is None:
                        return
                    await asyncio.sleep(wait)
        finally:
            current_run.reset(run)


def _checked(text: str) -> str:
    kept = "\n".join(text.splitlines()).strip()
    if not kept:
        raise InvalidInput("text", "it is empty; say what is to be remembered.")
    if len(kept) > MAX_CHARACTERS:
        raise InvalidInput("text", f"it has {len(kept)} characters; a note has at most {MAX_CHARACTERS}.")
    if "\0" in kept or any("\ud800" <= character <= "\udfff" for character in kept):
        raise InvalidInput("text", "it has characters that no text file can hold.")
    return kept


def _id_of(text: str) -> str:
    """Digits only: a title is made of a file's name, and this one is to have none."""
    digest = sha256(" ".join(text.split()).casefold().encode()).digest()
    return f"n{int.from_bytes(digest[:8], 'big') % 10**16:016d}"


def _write(path: Path, text: str) -> None:
    """All or nothing; for the owner's eyes only, as notes may be about persons."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return
    draft = path.with_name(f".{path.stem}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="\n") as file:
        file.write(f"{text}\n")
    os.replace(draft, path)


def _read(path: Path) -> Note | None:
    """None for a note that was forgotten meanwhile."""
    try:
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Note(note_id=path.stem, text=path.read_text("utf-8").rstrip("\n"), source=str(path), made=made)
    except FileNotFoundError:
        return None
