"""SIGKILL in the middle of an ingestion: what the index says afterwards, and what the next ingestion makes of it.

An index holds one state of a folder; the folder changes; a process that takes the change in is killed at one of
its steps. A step is a call or a return of a function that reads, stages, embeds, writes or publishes. The books are
then read by plain SQL and the vectors by plain Chroma, not by Collegium's own readers.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

import numpy

from collegium.knowledge import HashEmbedder, Index, staging, vectors
from collegium.knowledge import ingestion as ingesting

WATCHED = ("catalog", "ingestion", "keywords", "rows", "snapshot", "staging", "vectors")
BATCH = 8
"""Passages a batch, so that a small folder has many."""
Step = tuple[str, str, str]
"""Module, function, and `call` or `return`."""


@dataclass
class Kill:
    """What came of one kill."""

    at: int
    step: Step
    died: bool
    """False when the ingestion was over before the step came."""
    failures: list[str] = field(default_factory=list[str])
    embedded_twice: int = 0


@dataclass(frozen=True)
class Held:
    """What an index holds, by plain means."""

    sources: list[tuple[str, str, str]]
    passages: list[tuple[Any, ...]]
    vectors: dict[str, str]
    """Passage id to the digest of the text that Chroma's vector stands for."""


class Logged(HashEmbedder):
    """Notes each text that it embeds in a file that outlives it."""

    def __init__(self, log: Path) -> None:
        super().__init__(64)
        self._log = log

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        with self._log.open("a", encoding="utf-8") as log:
            log.writelines(f"{vectors.text_digest(text)}\n" for text in texts)
        return super().embed(texts)


class Stage:
    """A folder in its second state, an index of the first, and the truth about both."""

    def __init__(self, folder: Path, seed: int = 5) -> None:
        self.folder, self.docs = folder, folder / "docs"
        random = Random(seed)
        _write(self.docs, {f"{n}.md": _text(random, n) for n in range(8)})
        self._index(folder / "first")
        self.before = held(folder / "first")
        for name in ("0.md", "1.md"):
            (self.docs / name).unlink()
        _write(self.docs, {f"{n}.md": _text(random, n + 100) for n in (2, 3, *range(8, 16))})
        shutil.copytree(folder / "first", folder / "second")
        self._index(folder / "second")
        self.after = held(folder / "second")
        self.vectors = numpy.load(next((folder / "second").glob("snapshot-*/vectors.npy")))
        self.steps = self._traced()

    def points(self, count: int, seed: int) -> list[int]:
        """Steps to die at: one of each kind first, then any."""
        random = Random(seed)
        kinds: dict[Step, list[int]] = {}
        for at, step in enumerate(self.steps):
            kinds.setdefault(step, []).append(at)
        one_each = [random.choice(places) for places in kinds.values()]
        random.shuffle(one_each)
        more = (random.randrange(len(self.steps)) for _ in range(max(0, count - len(one_each))))
        return [*one_each, *more][:count]

    def kill(self, at: int) -> Kill:
        """Kill an ingestion at a step, and see what is left."""
        place = self.folder / "killed"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "first", place)
        log = self.folder / "embedded.log"
        log.unlink(missing_ok=True)
        kill = Kill(at, self.steps[at], _child(self.docs, place, log, at, None) == -signal.SIGKILL)
        kill.failures += self._left(place)
        self._index(place, log)
        kill.failures += self._resumed(place)
        done = log.read_text().split() if log.exists() else []
        kill.embedded_twice = len(done) - len(set(done))
        if kill.embedded_twice > BATCH:
            kill.failures.append(f"{kill.embedded_twice} texts were embedded twice")
        return kill

    def _left(self, place: Path) -> Iterator[str]:
        """What a reader finds before anybody has mended anything."""
        now = held(place, chroma=False)
        if (now.sources, now.passages) not in (
            (self.before.sources, self.before.passages),
            (self.after.sources, self.after.passages),
        ):
            yield "the books hold neither the old state nor the new one"
        found = asyncio.run(_search(place))
        if not found or not set(found) <= {row[0] for row in now.passages}:
            yield "a search does not find the passages that the books hold"

    def _resumed(self, place: Path) -> Iterator[str]:
        now = held(place)
        if now.sources != self.after.sources:
            yield "the sources are not those of an ingestion that was not killed"
        if now.passages != self.after.passages:
            yield "passages are lost or there twice"
        if now.vectors != self.after.vectors:
            yield "Chroma holds other vectors than those of the passages"
        (rows,) = place.glob("snapshot-*/vectors.npy")
        if not numpy.array_equal(numpy.load(rows), self.vectors):
            yield "the vectors that are searched are not those of the passages"
        if left := sorted(file.name for file in place.glob("staging*")):
            yield f"left lying: {left}"
        again = self._index(place)
        if (again.added, again.removed, again.unchanged) != (0, 0, len(self.after.sources)):
            yield f"a third ingestion still finds something to do: {again}"

    def _index(self, place: Path, log: Path | None = None) -> Any:
        return asyncio.run(_index(self.docs, place, log or self.folder / "other.log"))

    def _traced(self) -> list[Step]:
        """The steps of an ingestion that nobody kills."""
        shutil.copytree(self.folder / "first", self.folder / "traced")
        out = self.folder / "steps"
        if _child(self.docs, self.folder / "traced", self.folder / "other.log", -1, out):
            raise RuntimeError("the ingestion to trace failed")
        lines = (line.split() for line in out.read_text().splitlines())
        return [(module, function, event) for module, function, event in lines]


def kills(folder: Path, count: int, seed: int) -> Iterator[Kill]:
    """So many kills in one folder, each at a step of its own."""
    stage = Stage(folder)
    for at in stage.points(count, seed):
        yield stage.kill(at)


def held(place: Path, *, chroma: bool = True) -> Held:
    """What the books and Chroma hold."""
    with closing(sqlite3.connect(place / "catalog.db")) as books:
        sources = books.execute("SELECT source, file_digest, text FROM source ORDER BY source").fetchall()
        passages = books.execute(
            "SELECT passage_id, source, start, stop, heading, search_text FROM passage ORDER BY source, start"
        ).fetchall()
    return Held(sources, passages, _chroma(place / "chroma") if chroma else {})


def _chroma(folder: Path) -> dict[str, str]:
    with vectors.open_vectors(folder, HashEmbedder(64)) as opened:
        found = opened.collection.get(include=["metadatas"])
    return {id_: str(meta["digest"]) for id_, meta in zip(found["ids"], found["metadatas"], strict=True)}


async def _index(docs: Path, place: Path, log: Path) -> Any:
    index = Index("killed", folder=place, embedder=Logged(log))
    return await index.ingest(docs)


async def _search(place: Path) -> list[str]:
    index = Index("killed", folder=place, embedder=HashEmbedder(64))
    return [passage.passage_id for passage in await index.search("lamp harbour", k=500)]


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _text(random: Random, number: int) -> str:
    words = "lamp harbour pier buoy fog berth crew tide crane rope".split()
    paragraphs = (" ".join(random.choices(words, k=60)) + f" {number}." for _ in range(5))
    return f"# Part {number}\n\n" + "\n\n".join(paragraphs) + "\n"


def _child(docs: Path, place: Path, log: Path, at: int, out: Path | None) -> int | None:
    """Take `docs` in by a process that dies at a step; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["chromadb", "bm25s", "collegium.knowledge.ingestion"])
    child = context.Process(target=_ingest, args=(docs, place, log, at, out))
    child.start()
    child.join(timeout=120)
    if child.is_alive():
        child.kill()
        child.join()
        raise RuntimeError("an ingestion hung")
    return child.exitcode


def _ingest(docs: Path, place: Path, log: Path, at: int, out: Path | None) -> None:
    steps: list[Step] = []
    known: dict[CodeType, tuple[str, str] | None] = {}  # looked up at every call there is

    def watch(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code not in known:
            file = Path(code.co_filename)
            watched = file.parent.name == "knowledge" and file.stem in WATCHED
            known[code] = (file.stem, code.co_name) if watched else None
        if (place := known[code]) is None or event not in ("call", "return"):
            return
        if len(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append((*place, event))

    staging.COMMIT, vectors.BATCH = 2000, BATCH
    spot = ingesting.Place(place, "killed", Logged(log))
    sys.setprofile(watch)
    ingesting.ingest(spot, [docs], lambda text, done, total: None)
    sys.setprofile(None)
    if out is not None:
        out.write_text("".join(f"{' '.join(step)}\n" for step in steps), encoding="utf-8")
