"""Signs of prompt injection and of jailbreaks, by rules.

A help, never the boundary: published detectors, rules and models alike, fall to attackers who try for a while. So
the rules are few, each names what it saw, and none stands for a single set of attacks. A strong sign counts alone,
weak ones count when two different ones come together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from . import _signs as look
from ._decoding import hidden_texts
from .finding import Finding, joined

_TIMES = 10
"""So often in a row is no way to write."""


class Sign(NamedTuple):
    """Something that was seen in a text."""

    name: str
    start: int
    end: int
    strong: bool


class Injection:
    """Finds signs that a text gives orders to a model; a `Finder` of the kind `injection`."""

    def __call__(self, text: str) -> list[Finding]:
        """The signs, each from its first to its last character; none where the text is not an attack."""
        return joined(Finding(sign.start, sign.end, "injection") for sign in self.signs(text))

    def signs(self, text: str) -> list[Sign]:
        """What was seen and under which name; empty unless one strong sign or two weak ones were."""
        plain = _plain(text)
        found = _counted([*_signs(plain), *_hidden(plain), *_unseen(text)])
        if len(plain) == len(text):
            return found
        return [Sign(sign.name, 0, len(text), sign.strong) for sign in found]


class Jailbreak:
    """Finds attempts to talk a model out of its limits; a `Finder` of the kind `jailbreak`."""

    def __call__(self, text: str) -> list[Finding]:
        """The signs, in order."""
        plain = _plain(text)
        found = [match.span() for match in look.JAILBREAK.matches(plain, _low(plain))]
        spans = found if len(plain) == len(text) else [(0, len(text)) for _ in found]
        return joined(Finding(start, end, "jailbreak") for start, end in spans)


def _plain(text: str) -> str:
    """The text without what hides words from rules: letters of other shapes, characters of no width."""
    if text.isascii():
        return text
    return look.NO_WIDTH.sub("", unicodedata.normalize("NFKC", text))


def _low(text: str) -> str:
    """In lower case, of the same length."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _counted(signs: list[Sign]) -> list[Sign]:
    """The signs if together they are enough."""
    enough = any(sign.strong for sign in signs) or len({sign.name for sign in signs}) > 1
    return sorted(set(signs), key=lambda sign: (sign.start, not sign.strong, sign.name)) if enough else []


def _signs(text: str) -> Iterator[Sign]:
    low = _low(text)
    for rule in look.RULES:
        for match in rule.matches(text, low):
            yield Sign(rule.name, *match.span(), rule.strong)
    yield from _secrets_asked(text, low)
    yield from _above(text, low)
    yield from _comments(text)
    yield from _dialogue(text)
    yield from _flood(text)


def _secrets_asked(text: str, low: str) -> Iterator[Sign]:
    """Demands for the system's secret; not questions about one's own, or about secrets as such."""
    for start, end in look.around(low, look.SECRET_WORDS):
        for match in look.SECRET_ASKED.finditer(text, start, end):
            begin = max(text.rfind(mark, start, match.start()) for mark in ".!?\n。！？")
            if not look.ABOUT_OWN.search(text, max(begin, match.start() - 40, 0), match.end() + 12):
                yield Sign("secret", *match.span(), strong=True)


def _above(text: str, low: str) -> Iterator[Sign]:
    """`Ignore the above` counts alone where an order follows."""
    for start, end in look.around(low, look.IGNORE_WORDS):
        for match in look.ABOVE_ALONE.finditer(text, start, end):
            ordered = look.THEN_ORDER.search(text, match.end(), match.end() + 60)
            yield Sign("above", *match.span(), ordered is not None)


def _comments(text: str) -> Iterator[Sign]:
    """Orders where no reader sees them."""
    if "<" not in text and "/*" not in text:
        return
    for match in look.COMMENT.finditer(text):
        inside = next(group for group in match.groups() if group)
        if any(pattern.search(inside) for pattern in (look.SPEAK_AS, look.OVERRIDE, look.SECRET_ASKED)):
            yield Sign("comment", *match.span(), strong=True)


def _dialogue(text: str) -> Iterator[Sign]:
    """A made-up dialogue of many turns that ends in an open question."""
    if not text.rstrip().endswith(("?", "？", "؟", "।")) or text.count(":") + text.count("：") < 5:
        return
    pairs = list(look.PAIR.finditer(text))
    if len(pairs) >= 3 and len(text) - pairs[-1].end() < 2000:
        yield Sign("dialogue", pairs[0].start(), len(text), strong=True)


def _flood(text: str) -> Iterator[Sign]:
    """A word, or a few in the same order, again and again."""
    words = list(re.finditer(r"\S+", text))
    said = [match[0].rstrip(".,!?") for match in words]
    for period in range(1, 6):
        run = 0
        for place in range(period, len(said)):
            run = run + 1 if said[place] == said[place - period] and said[place].isalnum() else 0
            if run == (_TIMES - 1) * period:
                yield Sign("flood", words[place - run - period + 1].start(), words[place].end(), strong=True)
                return


def _unseen(text: str) -> Iterator[Sign]:
    """Characters that carry text and show nothing."""
    if not text.isascii():
        yield from (Sign("unseen", *match.span(), strong=True) for match in look.UNSEEN.finditer(text))


def _hidden(text: str) -> Iterator[Sign]:
    """Orders in a code that a model reads and a person does not; a request to decode such a text."""
    for hidden in hidden_texts(text):
        tells = hidden.names_orders or look.SPEAK_AS.search(hidden.text) or _counted(list(_signs(hidden.text)))
        yield Sign("encoded", hidden.start, hidden.end, hidden.asked or bool(tells))
