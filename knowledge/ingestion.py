"""Bringing an index up to date with files: what is new, changed, vanished, unreadable."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import snapshot
from .catalog import FILE, Catalog, Entry, only_writer, opened, prepare, reading
from .chunking import passages_of, search_text
from .embedding import Embedder, window_of
from .finding import distinct, find_files
from .loading import Document, file_digest, load, read_file
from .rows import Precision
from .staging import Staging, staging
from .unreadable import Unreadable
from .vectors import Vectors, check_dimension, connect_vectors, in_batches, open_vectors

Tell = Callable[[str, int, int], None]

READER = "4"
"""Raise it when loading, chunking or search texts change: files are then read again."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did."""

    added: int
    """Files that are new or have changed."""
    unchanged: int
    removed: int
    """Files that were held and are gone."""
    skipped: tuple[tuple[str, str], ...]
    """Path and reason of each file that could not be read."""
    passages: int
    """How many the index holds now."""
    partly: tuple[tuple[str, str], ...] = ()
    """Path and problem of each file that is held, but for a part that could not be read."""
    repeats: int = 0
    """Passages that the index holds and that say the same as another one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an index is kept, and how."""

    folder: Path
    name: str
    embedder: Embedder | None
    precision: Precision = "float32"
    chroma: str | None = None
    """Address of the Chroma server that keeps the vectors; None: the folder does."""

    @contextmanager
    def vectors(self, embedder: Embedder) -> Generator[Vectors]:
        """The vectors of this index, open."""
        if self.chroma is None:
            with open_vectors(self.folder / "chroma", embedder) as opened_vectors:
                yield opened_vectors
            return
        with opened(self.folder / FILE, self.name) as connection:
            name = f"{self.name[:40]}-{Catalog(connection).identity()}"
        with connect_vectors(self.chroma, name, embedder) as connected:
            yield connected

    @property
    def signature(self) -> str:
        """What files were read by and for; another one reads them again."""
        return f"{self.embedder.name if self.embedder else ''}/{READER}"


@dataclass(slots=True)
class _Plan:
    """What there is to do. The texts of what is added wait in the staging catalogue."""

    added: set[str] = field(default_factory=set[str])
    removed: list[str] = field(default_factory=list[str])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    partly: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """What the books say before an ingestion."""

    digests: Mapping[str, str]
    signature: str
    precision: str
    problems: Mapping[str, str]
    embedder: tuple[str, int]
    """Name, and length of a vector."""
    generation: int
    complete: bool
    """Whether its snapshot is there."""
    swept: bool
    """Whether Chroma's vectors of passages that are gone were forgotten."""

    def fits(self, place: Place) -> bool:
        """Whether nothing is to be done as long as no file changes."""
        return self.complete and (self.signature, self.precision) == (place.signature, place.precision)


def ingest(place: Place, paths: Iterable[Path], tell: Tell) -> IngestReport:
    """Bring an index up to date with `paths`; see `Index.ingest`. Blocks: run it in a thread."""
    roots = distinct(paths)
    files = distinct(file for root in roots for file in find_files(root))
    with only_writer(place.folder, place.name):
        prepare(place.folder, place.name)
        held = _held(place)
        with staging(place.folder, place.name, place.signature) as staged:
            plan = _surveyed(files, roots, held, place, staged, tell)
            if plan.added or plan.removed or not held.fits(place):
                staged.settle(plan.added, plan.removed)
                _publish(place, held, staged, tell)
            elif place.embedder and not held.swept:
                with place.vectors(place.embedder) as vectors:
                    _sweep(place, vectors)
        return _finished(place, plan)


def _held(place: Place) -> _Held:
    with reading(place.folder, place.name) as catalog:
        return _Held(
            catalog.digests(),
            catalog.meta("signature"),
            catalog.meta("precision"),
            catalog.problems(),
            (catalog.meta("embedder"), int(catalog.meta("dimension", "0"))),
            catalog.generation,
            snapshot.is_complete(place.folder, catalog.generation),
            catalog.meta("swept") == catalog.meta("generation"),
        )


def _surveyed(files: list[Path], roots: list[Path], held: _Held, place: Place, staged: Staging, tell: Tell) -> _Plan:
    """Compare files with what the index holds, and stage those that are new or have changed."""
    plan = _Plan()
    good: Mapping[str, str] = held.digests if held.signature == place.signature else {}
    before, fits = staged.digests(), window_of(place.embedder)
    for done, file in enumerate(files, start=1):
        source = str(file)
        try:
            data = read_file(file)
            digest = file_digest(data)
            if good.get(source) == digest:
                plan.unchanged += 1
            else:
                if before.get(source) != digest:
                    staged.add(document := load(file, data), digest, _entries(document, fits))
                plan.added.add(source)
        except Unreadable as error:
            plan.skipped.append((source, error.problem))
        tell("reading", done, len(files))
    here = {str(file) for file in files} - {source for source, _ in plan.skipped}
    plan.removed = sorted(source for source in held.digests if source not in here and _below(Path(source), roots))
    problems = {**{s: p for s, p in held.problems.items() if s not in plan.added}, **staged.problems()}
    plan.partly = [(source, problems[source]) for source in map(str, files) if source in here and source in problems]
    return plan


def _entries(document: Document, fits: Callable[[str], bool]) -> list[Entry]:
    return [
        Entry(passage, search_text(passage.heading, passage.text, code=document.code))
        for passage in passages_of(document, fits)
    ]


def _below(path: Path, roots: list[Path]) -> bool:
    return any(path == root or root in path.parents for root in roots)


def _publish(place: Place, held: _Held, staged: Staging, tell: Tell) -> None:
    """Make what is missing of vectors and snapshot, then let the books name them."""
    if place.embedder and place.embedder.name == held.embedder[0]:
        check_dimension(f"index {place.name!r}", *held.embedder, place.embedder)
    generation = held.generation + 1
    writer = snapshot.Writer(place.folder, generation)
    writer.write_keywords(staged.merged())
    repeats = writer.write_repeats(staged.sketches())
    if place.embedder is None:
        writer.finish()
        _book(place, staged, generation, repeats)
        return
    with place.vectors(place.embedder) as vectors:
        _embed(vectors, staged, place.embedder, tell)
        blocks = vectors.blocks(staged.merged(), place.embedder)
        writer.write_vectors(blocks, staged.merged_count(), place.precision)
        writer.finish()
        _book(place, staged, generation, repeats)
        _sweep(place, vectors)


def _sweep(place: Place, vectors: Vectors) -> None:
    """Forget the vectors of passages that the books no longer hold."""
    with opened(place.folder / FILE, place.name) as connection:
        catalog = Catalog(connection)
        vectors.keep_only(catalog.passage_ids())
        catalog.set_meta("swept", str(catalog.generation))


def _book(place: Place, staged: Staging, generation: int, repeats: int) -> None:
    staged.publish(
        {
            "signature": place.signature,
            "embedder": place.embedder.name if place.embedder else "",
            "dimension": str(place.embedder.dimension if place.embedder else 0),
            "precision": place.precision,
            "generation": str(generation),
            "repeats": str(repeats),
        }
    )


def _embed(vectors: Vectors, staged: Staging, embedder: Embedder, tell: Tell) -> None:
    total, done = staged.count(), 0
    for batch in in_batches(staged.entries()):
        vectors.ensure(batch, embedder)
        done += len(batch)
        tell("embedding", done, total)


def _finished(place: Place, plan: _Plan) -> IngestReport:
    with reading(place.folder, place.name) as catalog:
        snapshot.drop_others(place.folder, catalog.generation)
        passages, repeats = catalog.count(), int(catalog.meta("repeats", "0"))
    return IngestReport(
        added=len(plan.added),
        unchanged=plan.unchanged,
        removed=len(plan.removed),
        skipped=tuple(plan.skipped),
        passages=passages,
        partly=tuple(plan.partly),
        repeats=repeats,
    )
