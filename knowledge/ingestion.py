"""Bringing an index up to date with files: what is new, changed, vanished, unreadable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import snapshot
from .catalog import FILE as CATALOG_FILE
from .catalog import Catalog, Entry, only_writer, reading, writing
from .chunking import passages_of, search_text
from .embedding import Embedder
from .finding import distinct, find_files
from .loading import Document, file_digest, load, read_file
from .unreadable import Unreadable
from .vectors import Vectors, open_vectors

Tell = Callable[[str, int, int], None]

READER = "2"
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


@dataclass(slots=True)
class _Plan:
    """What there is to do, made without touching the index."""

    added: list[tuple[Document, str, list[Entry]]] = field(default_factory=list[tuple[Document, str, list[Entry]]])
    removed: list[str] = field(default_factory=list[str])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    partly: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    unchanged: int = 0

    @property
    def entries(self) -> list[Entry]:
        return [entry for _, _, entries in self.added for entry in entries]


def ingest(folder: Path, name: str, paths: Iterable[Path], embedder: Embedder | None, tell: Tell) -> IngestReport:
    """Bring the index in `folder` up to date with `paths`; see `Index.ingest`. Blocks: run it in a thread."""
    roots = distinct(paths)
    files = [file for root in roots for file in find_files(root)]
    with only_writer(folder, name):
        known, used = _known(folder, name)
        signature = f"{embedder.name if embedder else ''}/{READER}"
        held: Mapping[str, str] = known if used == signature else {}
        plan = _planned(distinct(files), roots, known, held, tell)
        if plan.added or plan.removed or used != signature:
            return _apply(folder, name, plan, embedder, signature, tell)
        with reading(folder, name) as catalog:
            return _report(plan, catalog.count())


def _known(folder: Path, name: str) -> tuple[Mapping[str, str], str]:
    if not (folder / CATALOG_FILE).is_file():
        return {}, ""
    with reading(folder, name) as catalog:
        return catalog.digests(), catalog.meta("signature")


def _planned(
    files: list[Path], roots: list[Path], known: Mapping[str, str], held: Mapping[str, str], tell: Tell
) -> _Plan:
    """Compare files with what the index knows; `held` is the part of it that is still good."""
    plan = _Plan()
    for done, file in enumerate(files, start=1):
        source = str(file)
        try:
            data = read_file(file)
            digest = file_digest(data)
            if held.get(source) == digest:
                plan.unchanged += 1
            else:
                document = load(file, data)
                plan.added.append((document, digest, _entries(document)))
                if document.problem:
                    plan.partly.append((source, document.problem))
        except Unreadable as error:
            plan.skipped.append((source, error.problem))
        tell("reading", done, len(files))
    here = {str(file) for file in files} - {source for source, _ in plan.skipped}
    plan.removed = sorted(source for source in known if source not in here and _below(Path(source), roots))
    return plan


def _entries(document: Document) -> list[Entry]:
    return [
        Entry(passage, search_text(passage.heading, passage.text, code=document.code))
        for passage in passages_of(document)
    ]


def _below(path: Path, roots: list[Path]) -> bool:
    return any(path == root or root in path.parents for root in roots)


def _apply(folder: Path, name: str, plan: _Plan, embedder: Embedder | None, signature: str, tell: Tell) -> IngestReport:
    if embedder is None:
        with writing(folder, name) as catalog:
            entries = _booked(catalog, plan, signature)
            snapshot.save(folder, catalog.generation, entries, None)
        return _finished(folder, name, plan)
    with open_vectors(folder / "chroma", embedder) as vectors:
        _embed(vectors, plan.entries, embedder, tell)
        with writing(folder, name) as catalog:
            entries = _booked(catalog, plan, signature)
            rows = _rows(vectors, entries, embedder, tell)
            snapshot.save(folder, catalog.generation, entries, rows)
        vectors.delete(sorted(vectors.ids() - rows.keys()))
    return _finished(folder, name, plan)


def _booked(catalog: Catalog, plan: _Plan, signature: str) -> list[Entry]:
    """Enter the plan into the catalogue as its next generation, and return all that it then holds."""
    catalog.remove(plan.removed)
    for document, digest, entries in plan.added:
        catalog.add(document, digest, entries)
    catalog.set_meta("signature", signature)
    catalog.set_meta("embedder", signature.rpartition("/")[0])
    catalog.set_meta("generation", str(catalog.generation + 1))
    return catalog.entries()


def _embed(vectors: Vectors, entries: list[Entry], embedder: Embedder, tell: Tell) -> None:
    total, done = len(entries), 0

    def count(batch: int) -> None:
        nonlocal done
        done += batch
        tell("embedding", done, total)

    vectors.ensure(entries, embedder, count)


def _rows(vectors: Vectors, entries: list[Entry], embedder: Embedder, tell: Tell) -> dict[str, object]:
    """The vectors of all passages; those that Chroma has lost, or never had from this embedder, are made."""
    ids = [entry.passage.passage_id for entry in entries]
    rows = vectors.rows(ids)
    if lost := [entry for entry in entries if entry.passage.passage_id not in rows]:
        _embed(vectors, lost, embedder, tell)
        rows = vectors.rows(ids)
    return rows


def _finished(folder: Path, name: str, plan: _Plan) -> IngestReport:
    with reading(folder, name) as catalog:
        snapshot.drop_others(folder, catalog.generation)
        return _report(plan, catalog.count())


def _report(plan: _Plan, passages: int) -> IngestReport:
    return IngestReport(
        added=len(plan.added),
        unchanged=plan.unchanged,
        removed=len(plan.removed),
        skipped=tuple(plan.skipped),
        passages=passages,
        partly=tuple(plan.partly),
    )
