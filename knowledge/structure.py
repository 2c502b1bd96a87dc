"""What a text is made of: headings, sentences, fields, lines of code, each with its exact span.

One reading serves chunking (whole units are packed into passages) and quoting (a unit is what an answer
quotes). It knows plain text, Markdown, reStructuredText, blocks of `Name: value` lines (package metadata,
mail headers, front matter) and code; text that is none of these is read as paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .words import plain

Kind = Literal["heading", "sentence", "field", "columns", "row", "code", "noise"]
"""field: a `Name: value` line. columns: the first line of a table, never quoted by itself; row: another.
noise: badges, images, rules, directives; never quoted and never indexed."""

MAX_UNIT = 850
"""Longer sentences are cut at a space, in characters."""
MAX_ITEM = 250
"""A list item of up to this many characters is one unit, however many full stops it has."""

_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_ATX = re.compile(r"\s{0,3}(#{1,6})\s+(\S.*?)\s*#*\s*$")
_RULE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_ROW = re.compile(r"\s*\|.*\|.*$|[^|]+\|[^|]+\|.*$")
_DELIMITER = re.compile(r"\s*\|?[\s:|+-]*-{2,}[\s:|+-]*$")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,38}: *(?=\S)")
_BOOKKEEPING = re.compile(
    r"(?:Metadata-Version|License-File|Description-Content-Type|Dynamic|Import-Name|MIME-Version): "
    r"|Classifier: (?:Topic|Intended Audience|Environment|Natural Language|Typing) ::"
)
_DIRECTIVE = re.compile(r"\.\. ")
_COMMENT = re.compile(r"\s*<!--")
_REFERENCE = re.compile(r"\s{0,3}\[[^\]]+\]:\s*\S+\s*(?:\".*\")?$|\s*:[\w-]+:\s*\S*$")

_END = re.compile(r"[.!?…]+[\"'”’)\]*_`]*(?=\s+[\"'“‘(\[*_`<]*[A-Z0-9À-ÞΑ-ΩА-Я])|[。！？]+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Gov|Sen|Rep|Mt|Ft|No|Nos|"
    r"Fig|Figs|Eq|Eqs|Sec|Ch|Vol|pp|p|vs?|cf|ca|c|al|e\.g|i\.e|approx|Inc|Ltd|Co|Corp|U\.S|U\.K|U\.N|D\.C|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)\.$"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a text that can be quoted, or a heading, or noise."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    """Of a heading: 1 is the outermost."""
    title: str = ""
    """Of a heading: its words without markup."""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str

    @property
    def blank(self) -> bool:
        return not self.text.strip()


def read_units(text: str, *, code: bool = False) -> list[Unit]:
    """The units of `text` in order; every letter and digit lies in one, and none overlap.

    Args:
        text: Any text.
        code: Whether it is source code: then each line is a unit.
    """
    lines = _lines(text)
    units = [_code(line) for line in lines if not line.blank] if code else _Reader(text, lines).read()
    return [piece for unit in units for piece in _cut(text, unit)]


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Spans of the sentences between `start` and `end`, without the white space around them."""
    end = len(text) if end is None else end
    spans: list[tuple[int, int]] = []
    begin = start
    for match in _END.finditer(text, start, end):
        if match[0][0] == "." and _ABBREVIATION.search(text, max(begin, match.start() - 12), match.start() + 1):
            continue
        spans.append((begin, match.end()))
        begin = match.end()
    spans.append((begin, end))
    return [span for span in (_strip(text, *span) for span in spans) if span[0] < span[1]]


class _Reader:
    """Goes over the lines once; each method takes what begins at `self.at` and moves on."""

    def __init__(self, text: str, lines: Sequence[_Line]) -> None:
        self.text, self.lines, self.at = text, lines, 0
        self.underlines: list[str] = []

    def read(self) -> list[Unit]:
        units: list[Unit] = []
        while self.at < len(self.lines):
            if self.lines[self.at].blank:
                self.at += 1
            else:
                units += self._next()
        return units

    def _next(self) -> list[Unit]:
        line = self.lines[self.at].text
        if fence := _FENCE.match(line):
            return self._fenced(fence[1][0] * 3)
        if heading := _ATX.match(line):
            return [self._heading(1, len(heading[1]), heading[2])]
        if _RULE.match(line):
            return self._ruled()
        if _COMMENT.match(line):
            return [self._until("-->")]
        if _DIRECTIVE.match(line):
            return self._directive()
        block = self._block()
        if len(block) == 2 and (rule := _RULE.match(block[1].text)):
            return [self._heading(2, self._level(rule[1]), block[0].text)]
        self.at += len(block)
        return list(self._paragraph(block))

    def _heading(self, lines: int, level: int, title: str) -> Unit:
        first, last = self.lines[self.at], self.lines[self.at + lines - 1]
        self.at += lines
        return Unit("heading", first.start, last.end, level, plain(title))

    def _level(self, mark: str) -> int:
        """Underlines rank in the order in which they first appear."""
        if mark not in self.underlines:
            self.underlines.append(mark)
        return self.underlines.index(mark) + 1

    def _ruled(self) -> list[Unit]:
        """A line of marks: over a title that is also underlined, or by itself."""
        mark = self.lines[self.at].text.strip()[0]
        following = self.lines[self.at + 1 : self.at + 3]
        if len(following) == 2 and not following[0].blank and following[1].text.startswith(mark * 3):
            return [self._heading(3, self._level(mark), following[0].text.strip())]
        return [self._noise(1)]

    def _fenced(self, fence: str) -> list[Unit]:
        units = [self._noise(1)]
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.text.strip().startswith(fence):
                return [*units, self._noise(1)]
            self.at += 1
            if not line.blank:
                units.append(_code(line))
        return units

    def _until(self, mark: str) -> Unit:
        count = 1
        while mark not in self.lines[self.at + count - 1].text and self.at + count < len(self.lines):
            count += 1
        return self._noise(count)

    def _directive(self) -> list[Unit]:
        """A reStructuredText directive and its options; what is indented below them is read as text."""
        units = [self._noise(1)]
        while self.at < len(self.lines) and re.match(r"\s+:[\w-]+:", self.lines[self.at].text):
            units.append(self._noise(1))
        return units

    def _noise(self, lines: int) -> Unit:
        first, last = self.lines[self.at], self.lines[self.at + lines - 1]
        self.at += lines
        return Unit("noise", *_strip(self.text, first.start, last.end))

    def _block(self) -> list[_Line]:
        """The lines up to a blank one, or to one that begins something else."""
        block = [self.lines[self.at]]
        for line in self.lines[self.at + 1 :]:
            if line.blank or _FENCE.match(line.text) or _ATX.match(line.text) or _DIRECTIVE.match(line.text):
                break
            block.append(line)
        return block

    def _paragraph(self, block: Sequence[_Line]) -> Iterator[Unit]:
        if len(block) > 1 and _are_fields(block):
            yield from self._fields(block)
            return
        for kind, part in _parts(block):
            first, last = part[0], part[-1]
            marker = _ITEM.match(first.text)
            start = first.start + (marker.end() if marker else 0)
            if kind in ("columns", "row"):
                yield Unit(kind, *_strip(self.text, first.start, last.end))
            elif kind == "noise" or not _has_words(plain(self.text[start : last.end])):
                yield Unit("noise", *_strip(self.text, first.start, last.end))
            elif marker and last.end - start <= MAX_ITEM:
                yield Unit("sentence", *_strip(self.text, start, last.end))
            else:
                for span in sentence_spans(self.text, start, last.end):
                    yield Unit("sentence" if _has_words(plain(self.text[slice(*span)])) else "noise", *span)

    def _fields(self, block: Sequence[_Line]) -> Iterator[Unit]:
        start = last = block[0]
        for line in block[1:]:
            if _FIELD.match(line.text):
                yield self._field(start, last)
                start = line
            last = line
        yield self._field(start, last)

    def _field(self, first: _Line, last: _Line) -> Unit:
        kind: Kind = "noise" if _BOOKKEEPING.match(first.text) else "field"
        return Unit(kind, *_strip(self.text, first.start, last.end))


def _lines(text: str) -> list[_Line]:
    lines: list[_Line] = []
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
        lines.append(_Line(at, at + len(bare), bare))
        at += len(line)
    return lines


def _code(line: _Line) -> Unit:
    text = line.text
    start = line.start + len(text) - len(text.lstrip())
    return Unit("code" if _has_words(text) else "noise", start, line.start + len(text.rstrip()))


def _are_fields(block: Sequence[_Line]) -> bool:
    """Every line is `Name: value` or, indented, goes on with the value before it."""
    if not _FIELD.match(block[0].text):
        return False
    return all(_FIELD.match(line.text) or line.text[:1] in (" ", "\t") for line in block[1:]) and (
        sum(1 for line in block if _FIELD.match(line.text)) > 1
    )


def _parts(block: Sequence[_Line]) -> Iterator[tuple[Kind, list[_Line]]]:
    """The block's table rows, list items and noise lines one by one, the lines between them together."""
    waiting: list[_Line] = []
    for line, following in zip(block, [*block[1:], None], strict=True):
        kind = _line_kind(line.text)
        if kind == "row" and following and _DELIMITER.match(following.text):
            kind = "columns"
        if kind != "sentence" or _ITEM.match(line.text):
            if waiting:
                yield "sentence", waiting
            waiting = []
        if kind == "sentence":
            waiting.append(line)
        else:
            yield kind, [line]
    if waiting:
        yield "sentence", waiting


def _line_kind(line: str) -> Kind:
    if _REFERENCE.match(line) or not _has_words(plain(line)):
        return "noise"
    return "row" if _ROW.match(line) else "sentence"


def _has_words(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _cut(text: str, unit: Unit) -> Iterator[Unit]:
    """The unit in pieces of at most `MAX_UNIT` characters, cut at white space where there is some."""
    start = unit.start
    while unit.end - start > MAX_UNIT:
        space = max(text.rfind(mark, start + MAX_UNIT // 2, start + MAX_UNIT) for mark in " \n\t")
        end = space if space > start else start + MAX_UNIT
        yield Unit(unit.kind, *_strip(text, start, end), unit.level, unit.title)
        start = _strip(text, end, unit.end)[0]
    if start < unit.end:
        yield Unit(unit.kind, start, unit.end, unit.level, unit.title)
