"""Where an answer stands in a text: compared as SQuAD does, dates and ranges loosely, with exact spans."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Protocol

from .passages import Citation

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_ARTICLES = frozenset({"a", "an", "the"})
_LOOSE = frozenset({"to", "and", "until", "through", "of", "th", "st", "nd", "rd"})
"""Between numbers these are written or left out at will: "1321 to 1323", "1321-1323", "4 of July"."""
_MONTHS = {
    short: long
    for long in ("january february march april may june july august september october november december".split())
    for short in (long, long[:3])
} | {"sept": "september"}


class Span(Protocol):
    """A piece of a source: a passage, or a sentence of one."""

    @property
    def passage_id(self) -> str:
        """Which passage it is, or lies in."""
        ...

    @property
    def source(self) -> str:
        """Its document."""
        ...

    @property
    def start(self) -> int:
        """Its first character in the source's text."""
        ...

    @property
    def text(self) -> str:
        """Its words."""
        ...


class Texts(Protocol):
    """Whatever knows the texts of sources; an `Index` does."""

    def source_text(self, source: str) -> str:
        """The text that spans of `source` count in."""
        ...


def locate(answer: str, spans: Sequence[Span]) -> Citation | None:
    """Where `answer` stands in the first of `spans` that has it, as a citation of exactly those words.

    Case, accents, punctuation and articles do not count; month names may be short; between numbers, words
    and signs of a range are equal ("1321-1323" and "1321 to 1323").

    Args:
        answer: A few words, as a model gave them.
        spans: Passages or sentences, the likeliest first.

    Returns:
        The place, or None when no span has it, or the answer has no words.
    """
    for words in dict.fromkeys((_words(answer, loose=False), _words(answer, loose=True))):
        for span in spans:
            if place := _find(words, span.text):
                start, end = place
                return Citation(
                    passage_id=span.passage_id,
                    source=span.source,
                    start=span.start + start,
                    end=span.start + end,
                    quote=span.text[start:end],
                    page=getattr(span, "page", None),  # a user's own span need not have one
                )
    return None


def verify(citation: Citation, text: str | Texts) -> bool:
    """Whether the quote stands in the source exactly where the citation says.

    Args:
        citation: What to check.
        text: The source's text, or an index that holds the source.

    Raises:
        KnowledgeError: The index does not hold the source.
    """
    whole = text if isinstance(text, str) else text.source_text(citation.source)
    return bool(citation.quote) and whole[citation.start : citation.end] == citation.quote


def _find(words: tuple[str, ...], text: str) -> tuple[int, int] | None:
    if not words:
        return None
    for loose in (False, True):
        places = [(word, match) for match in _TOKEN.finditer(text) if (word := _folded(match[0], loose))]
        found = [word for word, _ in places]
        for at in range(len(found) - len(words) + 1):
            if tuple(found[at : at + len(words)]) == words:
                return places[at][1].start(), places[at + len(words) - 1][1].end()
    return None


def _words(text: str, *, loose: bool) -> tuple[str, ...]:
    return tuple(word for match in _TOKEN.finditer(text) if (word := _folded(match[0], loose)))


def _folded(word: str, loose: bool) -> str:
    """The word as it is compared; empty when it does not count."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))
    if plain in _ARTICLES or (loose and plain in _LOOSE):
        return ""
    plain = _MONTHS.get(plain, plain)
    return plain.replace(",", "") if plain[:1].isdigit() else plain
