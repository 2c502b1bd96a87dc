"""From a document to passages: whole units packed up to a size, never across a large section."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256

from .loading import Document
from .passages import Passage
from .structure import Unit, read_units
from .words import searchable

MAX_PASSAGE = 850
"""Characters. With whole sentences that is 161 tokens on average, and 95 of 100 are below 221, so MiniLM's
window of 256 holds a passage of English; what an embedder's window does not hold is divided."""
MAX_RECORD = 2000
"""A block of `Name: value` lines stays together up to this many characters."""
MIN_PART = 40
"""Shorter pieces are not divided, even where a heading fills the window by itself."""
MIN_SECTION = 300
"""A heading begins a new passage once the one before it has this many characters; shorter sections share one."""


def passages_of(document: Document, fits: Callable[[str], bool] = lambda text: True) -> list[Passage]:
    """The document's passages: `text` is exactly `document.text[start:end]`, in order, without overlap.

    Args:
        document: Where they come from.
        fits: Whether an embedder's window holds a search text; a passage that does not fit is divided. A block of
            `Name: value` lines stays whole: what classifies it comes last, and is found by its words.
    """
    text = document.text
    made: list[Passage] = []
    for heading, units in _packed(document):
        for start, end in _fitting(document, heading, units, fits):
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


def _fitting(
    document: Document, heading: str, units: list[Unit], fits: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """The span of the units, or of parts of them that fit."""
    start, end = units[0].start, units[-1].end
    if all(unit.kind == "field" for unit in units):
        yield start, end
        return
    whole = search_text(heading, document.text[start:end], code=document.code)
    if end - start <= MIN_PART or fits(whole):
        yield start, end
    elif len(units) > 1:
        # as even as whole units allow; a heading stays with what is below it
        middle = (start + end) // 2
        cuts = [at for at in range(1, len(units)) if units[at - 1].kind != "heading"] or [len(units) - 1]
        cut = min(cuts, key=lambda at: abs(units[at].start - middle))
        yield from _fitting(document, heading, units[:cut], fits)
        yield from _fitting(document, heading, units[cut:], fits)
    else:
        cut = _space_near(document.text, start, end)
        unit = units[0]
        yield from _fitting(document, heading, [replace(unit, end=cut)], fits)
        after = cut + len(document.text[cut:end]) - len(document.text[cut:end].lstrip())
        yield from _fitting(document, heading, [replace(unit, start=after)], fits)


def _space_near(text: str, start: int, end: int) -> int:
    """Where a sentence is cut in two: at the space next to its middle, else in the middle itself."""
    middle = (start + end) // 2
    before = text.rfind(" ", start + 1, middle)
    after = text.find(" ", middle, end - 1)
    return min((at for at in (before, after) if at > 0), key=lambda at: abs(at - middle), default=middle)


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
