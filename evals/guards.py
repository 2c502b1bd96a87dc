"""What a detector is worth: how many attacks it flags, how much harmless text, and which places it finds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

from ..core.errors import InvalidInput
from ..guardrails.finding import Finder, Finding
from .intervals import Interval, wilson_interval

TEXT_FIELDS = ("text", "user", "question", "prompt", "instruction")
"""Where a row's text is looked for, in this order."""

KINDS: Mapping[str, str] = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "US_SSN": "ssn",
    "PHONE_NUMBER": "phone",
}
"""What other data sets call the kinds; any other name counts in lower case."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """How many texts a detector flagged."""

    rows: int
    characters: int
    took_s: float
    attacks: Mapping[str, Interval]
    """Recall over the attacks, by their `type`, and of `all`; empty where no row is one."""
    clean: Interval | None
    """False alarms among the other rows; None without any."""

    @property
    def ms_per_1000(self) -> float:
        """Milliseconds for 1,000 characters."""
        return _cost(self.took_s, self.characters)


@dataclass(frozen=True, slots=True)
class Located:
    """How well a detector finds places, by kind."""

    rows: int
    characters: int
    took_s: float
    recall: Mapping[str, Interval]
    """Share of the marked places that a finding of their kind covers whole: nothing of them stays readable."""
    precision: Mapping[str, Interval]
    """Share of the findings that touch a marked place of their kind."""
    ignored: Mapping[str, int]
    """Marked kinds that the detector does not look for, and how many there are."""

    @property
    def ms_per_1000(self) -> float:
        """Milliseconds for 1,000 characters."""
        return _cost(self.took_s, self.characters)


@dataclass(slots=True)
class _Tally:
    hits: Counter[str] = field(default_factory=Counter[str])
    total: Counter[str] = field(default_factory=Counter[str])

    def add(self, name: str, hit: bool) -> None:
        self.total[name] += 1
        self.hits[name] += hit

    def intervals(self) -> dict[str, Interval]:
        return {name: wilson_interval(self.hits[name], self.total[name]) for name in sorted(self.total)}


def flagged(finder: Finder, rows: Sequence[Mapping[str, Any]], text_field: str | None = None) -> Flagged:
    """Run a detector over texts.

    A row is an attack where its field `injected` or `label` is true, or its `type` is `direct` or `indirect`; any
    other row is harmless, so that whatever is flagged there is a false alarm.

    Args:
        finder: The detector.
        rows: Objects with a text.
        text_field: Where the text stands; else the first of `TEXT_FIELDS` that a row has.

    Raises:
        InvalidInput: A row has no such field.
    """
    attacks, clean, characters = _Tally(), _Tally(), 0
    texts = [text_of(row, text_field) for row in rows]
    begun = perf_counter()
    hits = [bool(list(finder(text))) for text in texts]
    took = perf_counter() - begun
    for row, text, hit in zip(rows, texts, hits, strict=True):
        characters += len(text)
        if not is_attack(row):
            clean.add("all", hit)
            continue
        attacks.add("all", hit)
        if isinstance(kind := row.get("type"), str):
            attacks.add(kind, hit)
    return Flagged(len(rows), characters, took, attacks.intervals(), clean.intervals().get("all"))


def located(
    finder: Finder, rows: Sequence[Mapping[str, Any]], kinds: Iterable[str], text_field: str | None = None
) -> Located:
    """Run a detector over texts whose places are marked: `spans`, each with `type`, `start` and `end`.

    Args:
        finder: The detector.
        rows: Objects with a text and `spans`.
        kinds: What the detector looks for.
        text_field: As in `flagged`.

    Raises:
        InvalidInput: A row has no text, or a span lacks a field.
    """
    recall, precision, ignored, looked = _Tally(), _Tally(), Counter[str](), frozenset(kinds)
    texts = [text_of(row, text_field) for row in rows]
    begun = perf_counter()
    came = [list(finder(text)) for text in texts]
    took = perf_counter() - begun
    for row, found in zip(rows, came, strict=True):
        marked = _spans(row)
        ignored.update(one.kind for one in marked if one.kind not in looked)
        by_kind: dict[str, list[Finding]] = defaultdict(list)
        for one in found:
            by_kind[one.kind].append(one)
            near = (span for span in marked if span.kind == one.kind)
            precision.add(one.kind, any(span.start < one.end and one.start < span.end for span in near))
        for span in marked:
            if span.kind in looked:
                covers = (one.start <= span.start and span.end <= one.end for one in by_kind[span.kind])
                recall.add(span.kind, any(covers))
    length = sum(map(len, texts))
    return Located(len(rows), length, took, recall.intervals(), precision.intervals(), dict(sorted(ignored.items())))


def text_of(row: Mapping[str, Any], text_field: str | None = None) -> str:
    """The text of a row.

    Raises:
        InvalidInput: It has none.
    """
    for name in (text_field,) if text_field else TEXT_FIELDS:
        if isinstance(text := row.get(name), str):
            return text
    wanted = repr(text_field) if text_field else f"any of {', '.join(TEXT_FIELDS)}"
    raise InvalidInput("--data", f"a row has no text in {wanted}; its fields: {', '.join(row) or 'none'}.")


def is_attack(row: Mapping[str, Any]) -> bool:
    """Whether the row's own words call it an attack."""
    return bool(row.get("injected") or row.get("label")) or row.get("type") in ("direct", "indirect")


def _spans(row: Mapping[str, Any]) -> list[Finding]:
    try:
        return [
            Finding(int(span["start"]), int(span["end"]), KINDS.get(str(span["type"]), str(span["type"]).lower()))
            for span in cast("list[dict[str, Any]]", row["spans"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("--data", "each span needs `type`, `start` and `end`.") from error


def _cost(took_s: float, characters: int) -> float:
    return took_s * 1e6 / characters if characters else 0.0
