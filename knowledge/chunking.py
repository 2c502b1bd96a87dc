"""From a document to passages: whole units packed up to a size, never across a large section."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import sha256

from .loading import Document
from .passages import Passage
from .structure import Unit, read_units
from .words import searchable

MAX_PASSAGE = 850
"""Characters. With whole sentences that is 161 tokens on average, and 95 of 100 are below 221, so MiniLM's
window of 256 holds a passage."""
MAX_RECORD = 2000
"""A block of `Name: value` lines stays together up to this many characters."""
MIN_SECTION = 300
"""A heading begins a new passage once the one before it has this many characters; shorter sections share one."""


def passages_of(document: Document) -> list[Passage]:
    """The document's passages: `text` is exactly `document.text[start:end]`, in order, without overlap."""
    text = document.text
    made: list[Passage] = []
    for heading, units in _packed(document):
        start, end = units[0].start, units[-1].end
        made.append(
            Passage(
                passage_id=passage_id(document.source, start, text[start:end]),
                source=document.source,
                start=start,
                end=end,
                text=text[start:end],
                heading=heading,
                page=bisect_right(document.pages, start) or None,
            )
        )
    return made


def passage_id(source: str, start: int, text: str) -> str:
    """Equal for the same text at the same place of the same source; 20 hexadecimal digits."""
    return sha256(f"{source}\0{start}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


def search_text(heading: str, text: str, *, code: bool = False) -> str:
    """What is embedded and indexed for a passage: its headings, then its units without markup or noise."""
    parts = [searchable(text[u.start : u.end]) for u in read_units(text, code=code) if u.kind != "noise"]
    # an embedder reads the beginning only: what classifies comes after what describes
    parts.sort(key=lambda part: part.startswith("Classifier: "))
    return "\n".join([heading, *parts]).strip()


def _packed(document: Document) -> Iterator[tuple[str, list[Unit]]]:
    path: list[Unit] = []
    packed: list[Unit] = []
    heading = _joined(document.title, path)
    pages, records = document.pages, document.records
    here = (0, 0)
    """The page and the record that the unit before lies in: a passage is on one page, and of one record."""
    for unit in read_units(document.text, code=document.code):
        if unit.kind == "noise":
            continue
        if (place := (bisect_right(pages, unit.start), bisect_right(records, unit.start))) != here:
            yield from _worth(heading, packed)
            path, packed = ([] if place[1] != here[1] else path), []
            here = place
        opens = unit.kind == "heading"
        size = unit.end - packed[0].start if packed else 0
        record = unit.kind == "field" and packed and packed[0].kind == "field"
        if size > (MAX_RECORD if record else MAX_PASSAGE) or (opens and size > MIN_SECTION):
            yield from _worth(heading, packed)
            packed = []
        if opens:
            path = [*(above for above in path if above.level < unit.level), unit]
        if not packed or all(before.kind == "heading" for before in packed):
            heading = _joined(document.title, path)
        packed.append(unit)
    yield from _worth(heading, packed)


def _worth(heading: str, units: list[Unit]) -> Iterator[tuple[str, list[Unit]]]:
    """The passage, unless it is headings only; headings at its end have nothing below them."""
    while units and units[-1].kind == "heading":
        units = units[:-1]
    if units:
        yield heading, units


def _joined(title: str, path: list[Unit]) -> str:
    parts = [title, *(heading.title for heading in path)]
    return " > ".join(part for i, part in enumerate(parts) if part and part not in parts[:i])
