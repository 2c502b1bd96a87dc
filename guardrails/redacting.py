"""Placeholders in place of sensitive text, and the way back.

The one redactor of the package: guards use it on what passes by, the store on what it keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from .finding import REACH, Finder, Finding, joined, run_start
from .parts import texts_of, through_parts
from .personal import PersonalData
from .secrets import Secrets

ValueT = TypeVar("ValueT")

PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]{0,31}_[1-9][0-9]{0,8}\]")
"""What a placeholder looks like: `[EMAIL_1]`."""

_MASK = "\ufffc"
"""A character that belongs to no word, number or address."""

_SHORTEST = 4
"""What is shorter stands in too many words to be looked for."""

_MIN_DIGITS = 12
"""A JSON number of fewer digits is left alone: it is far more often an amount or a time than a card."""


@dataclass(frozen=True, slots=True)
class Redacted(Generic[ValueT]):
    """A value without what was found in it."""

    value: ValueT
    mapping: Mapping[str, str | int]
    """Placeholder to what it stands for: all that were known before and all that are new."""
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    """Kind to the number of places where it was found this time; empty when nothing was."""

    @property
    def changed(self) -> bool:
        """Whether anything was found."""
        return bool(self.kinds)


class Redactor:
    """Puts placeholders in place of what its finders find.

    One thing has one placeholder throughout a mapping, and redacting twice changes no more than redacting once.
    A placeholder that the text itself brings along is left as it is, and its number is given to nothing.
    """

    def __init__(self, finders: Iterable[Finder] | None = None) -> None:
        """A redactor.

        Args:
            finders: What to look for; by default structured personal data and secrets.
        """
        self.finders: tuple[Finder, ...] = (PersonalData(), Secrets()) if finders is None else tuple(finders)

    def find(self, text: str) -> list[Finding]:
        """What is in the text, in order and without overlap; placeholders are not looked into."""
        taken = [match.span() for match in PLACEHOLDER.finditer(text)] if "_" in text else []
        # a finder must not take the name of a placeholder for a word: `[PHONE_1]` makes no phone of what follows
        seen = PLACEHOLDER.sub(lambda match: f"[{_MASK * (len(match[0]) - 2)}]", text) if taken else text
        found = joined(finding for finder in self.finders for finding in finder(seen))
        parts = (part for finding in found for part in _outside(finding, taken)) if taken else found
        return [part for part in parts if any(map(str.isalnum, text[part.start : part.end]))]

    def redact(
        self, value: ValueT, known: Mapping[str, str | int] | None = None, *, first: int = 1
    ) -> Redacted[ValueT]:
        """The value with placeholders in all its texts and keys, at any depth.

        A long JSON number that a finder takes whole becomes a placeholder too. A text that itself holds JSON is
        redacted as text; parse it first where it must stay JSON.

        Args:
            value: A text, or any JSON value; pydantic models, dataclasses, tuples and sets are gone into as well.
            known: The mapping of an earlier call: what it holds keeps its placeholder.
            first: The lowest number for a new placeholder.
        """
        work = _Work(self, known or {}, value, first)
        return Redacted(cast("ValueT", work.value(value)), work.mapping, work.kinds)

    def stream(self, known: Mapping[str, str | int] | None = None, *, first: int = 1) -> RedactedStream:
        """A redactor for a text that arrives in pieces."""
        return RedactedStream(self, known or {}, first)


class RedactedStream:
    """Redacts a text that arrives in pieces; what could still become a finding is held back.

    The pieces joined are what `redact` makes of the whole text. A reader is `REACH` characters behind, and more
    within an unbroken run of characters or an open finding.
    """

    def __init__(self, redactor: Redactor, known: Mapping[str, str | int], first: int = 1) -> None:
        self._redactor = redactor
        self._work = _Work(redactor, known, "", first)
        self._context = ""
        """The last characters that were passed on, as they came: finders look back at them."""
        self._held = ""
        self._enough = REACH + REACH // 2

    @property
    def mapping(self) -> Mapping[str, str | int]:
        """Placeholder to what it stands for, so far."""
        return self._work.mapping

    @property
    def kinds(self) -> Mapping[str, int]:
        """Kind to the number of places where it was found, so far."""
        return self._work.kinds

    def push(self, piece: str) -> str:
        """What may be passed on once this piece has come; often nothing."""
        self._held += piece
        if len(self._held) < self._enough:
            return ""
        cut = self._cut()
        # an endless run is looked at when it has doubled, not at each piece
        self._enough = len(self._held) - cut + REACH // 2 if cut else 2 * len(self._held)
        return self._pass(cut)

    def end(self) -> str:
        """The rest."""
        return self._pass(len(self._held))

    def _cut(self) -> int:
        """How much of what is held cannot change any more."""
        text, offset = self._context + self._held, len(self._context)
        cut = run_start(text, len(text) - REACH)
        for finding in reversed(self._redactor.find(text)):
            if finding.start < cut < finding.end + 1:
                cut = finding.start
        return max(cut - offset, 0)

    def _pass(self, cut: int) -> str:
        text, offset = self._context + self._held, len(self._context)
        end = offset + cut
        found = [
            Finding(max(one.start, offset), one.end, one.kind)
            for one in self._redactor.find(text)
            if one.end > offset and one.start < end
        ]
        self._held = text[end:]
        self._context = _tail(text[:end])
        passed = [Finding(one.start - offset, min(one.end, end) - offset, one.kind) for one in found]
        return self._work.text(text[offset:end], passed)


def restore(value: ValueT, mapping: Mapping[str, str | int]) -> ValueT:
    """The value with what the placeholders stand for; those that the mapping does not hold stay.

    A text that is one placeholder becomes what was redacted, a number where it was one.
    """
    return cast("ValueT", _restored(value, mapping))


def _restored(value: Any, mapping: Mapping[str, str | int]) -> Any:
    if isinstance(value, str):
        if value in mapping:
            return mapping[value]
        return PLACEHOLDER.sub(lambda match: str(mapping.get(match[0], match[0])), value) if "[" in value else value
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {str(_restored(key, mapping)): _restored(item, mapping) for key, item in items}
    return through_parts(value, lambda part: _restored(part, mapping))


def masked(value: ValueT, mapping: Mapping[str, str | int]) -> ValueT:
    """The value with placeholders wherever something stands that the mapping holds already."""
    by_length = sorted(mapping.items(), key=lambda item: -len(str(item[1])))
    return cast("ValueT", _masked(value, [(name, original, str(original)) for name, original in by_length]))


def _masked(value: Any, known: list[tuple[str, str | int, str]]) -> Any:
    if isinstance(value, str):
        for placeholder, _, text in known:
            if len(text) >= _SHORTEST and text in value:
                value = value.replace(text, placeholder)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return next((name for name, original, _ in known if original == value), value)
    if isinstance(value, dict):
        return {str(_masked(key, known)): _masked(item, known) for key, item in cast("dict[Any, Any]", value).items()}
    return through_parts(value, lambda part: _masked(part, known))


class _Work:
    """One redaction: the mapping as it grows."""

    def __init__(self, redactor: Redactor, known: Mapping[str, str | int], value: object, first: int = 1) -> None:
        self.redactor, self._first = redactor, first
        self.mapping: dict[str, str | int] = dict(known)
        self.kinds: dict[str, int] = {}
        self._by_original = {_named(original): placeholder for placeholder, original in known.items()}
        self._reserved = set(_placeholders(value))
        self._last: dict[str, int] = {}

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            items = cast("dict[Any, Any]", value).items()
            return {self.text(key) if isinstance(key, str) else key: self.value(item) for key, item in items}
        if isinstance(value, int) and not isinstance(value, bool):
            return self._number(value)
        return through_parts(value, self.value)

    def text(self, text: str, found: list[Finding] | None = None) -> str:
        """The text with placeholders.

        It is looked at again until nothing is found: a placeholder beside a number can make that a finding.
        """
        self._reserved.update(PLACEHOLDER.findall(text))
        found = self.redactor.find(text) if found is None else found
        while found:
            pieces, end = list[str](), 0
            for finding in found:
                pieces += text[end : finding.start], self._placeholder(finding.kind, text[finding.start : finding.end])
                end = finding.end
            text = "".join(pieces) + text[end:]
            found = self.redactor.find(text)
        return text

    def _number(self, value: int) -> int | str:
        text = str(value)
        if len(text) < _MIN_DIGITS:
            return value
        whole = next((one for one in self.redactor.find(text) if one.end - one.start == len(text)), None)
        return value if whole is None else self._placeholder(whole.kind, value)

    def _placeholder(self, kind: str, original: str | int) -> str:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if known := self._by_original.get(_named(original)):
            return known
        number = self._last.get(kind, self._first - 1) + 1
        while (placeholder := f"[{kind.upper()}_{number}]") in self.mapping or placeholder in self._reserved:
            number += 1
        self._last[kind] = number
        self.mapping[placeholder] = original
        self._by_original[_named(original)] = placeholder
        return placeholder


def _named(original: str | int) -> tuple[bool, str]:
    """Tells a number from the text of its digits."""
    return isinstance(original, str), str(original)


def _placeholders(value: Any) -> Iterable[str]:
    for text in texts_of(value):
        yield from PLACEHOLDER.findall(text)


def _outside(finding: Finding, taken: Iterable[tuple[int, int]]) -> Iterable[Finding]:
    """The parts of a finding that lie outside placeholders."""
    start = finding.start
    for begin, end in taken:
        if end <= start or begin >= finding.end:
            continue
        if begin > start:
            yield Finding(start, begin, finding.kind)
        start = end
    if start < finding.end:
        yield Finding(start, finding.end, finding.kind)


def _tail(text: str) -> str:
    """The end of a text that finders may look back at: `REACH` characters and the run that they begin in."""
    return text[run_start(text, max(len(text) - REACH, 0)) :]
