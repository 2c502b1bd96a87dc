"""Whether a text says only what its evidence says, judged by words alone.

Numbers and names carry more than similarity does: of claims with a number that the evidence lacks, 9 % are
grounded; with all numbers there, 41 %. On the same 354 claims about web pages, 74 % of those that this check
passes are grounded, and 23 % of those that it does not. A pass is no proof: a negation or a swapped relation
is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .structure import read_units
from .words import STOP_WORDS, plain, terms

Support = Literal["supported", "partly", "unsupported"]

SUPPORTED_SHARE = 0.7
"""From this share of its words in the evidence, a sentence counts as supported."""
PARTLY_SHARE = 0.4

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'’-]*[a-z0-9][\w'’-]*\b|\b[A-Z]{2,}\b")
_NUMBER_WORDS = {  # not "one", which is mostly no number
    word: str(number)
    for number, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), start=2)
}


@dataclass(frozen=True, slots=True)
class SentenceGrounding:
    """One sentence of the text and what the evidence says to it."""

    sentence: str
    support: Support
    share: float
    """Share of its stems that stand in the evidence, in [0, 1]."""
    missing: tuple[str, ...]
    """Numbers and names that the evidence does not have."""

    @property
    def reason(self) -> str:
        """Why, in a few words."""
        if self.missing:
            return f"not in the evidence: {', '.join(self.missing)}"
        return f"{self.share:.0%} of its words stand in the evidence"


@dataclass(frozen=True, slots=True)
class Grounding:
    """The whole text, sentence by sentence."""

    sentences: tuple[SentenceGrounding, ...]

    @property
    def score(self) -> float:
        """Mean over the sentences: supported 1, partly one half, unsupported 0. An empty text has 0."""
        worth = {"supported": 1.0, "partly": 0.5, "unsupported": 0.0}
        return sum(worth[s.support] for s in self.sentences) / len(self.sentences) if self.sentences else 0.0

    @property
    def grounded(self) -> bool:
        """Whether every sentence is supported, and there is one."""
        return bool(self.sentences) and all(s.support == "supported" for s in self.sentences)


def check_grounding(text: str, evidence: Sequence[str]) -> Grounding:
    """Compare each sentence of `text` with the evidence.

    A sentence is unsupported when one of its numbers is nowhere in the evidence, when under half of its
    names are, or when fewer than 4 in 10 of its words are; partly when a name is missing or fewer than 7 in
    10 words are there.

    Args:
        text: What is claimed.
        evidence: Texts of the passages that it rests on.
    """
    known = _Evidence.read(evidence)
    spans = [text[u.start : u.end] for u in read_units(text) if u.kind not in ("heading", "noise")]
    return Grounding(tuple(known.judge(span) for span in spans))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What all evidence texts have together."""

    stems: frozenset[str]
    numbers: frozenset[str]
    verbatim: str

    @classmethod
    def read(cls, texts: Sequence[str]) -> _Evidence:
        whole = "\n".join(texts)
        return cls(frozenset(terms(plain(whole))), _numbers(whole), _squeezed(whole))

    def judge(self, sentence: str) -> SentenceGrounding:
        if _squeezed(sentence) in self.verbatim:
            return SentenceGrounding(sentence, "supported", 1.0, ())
        stems = {stem for stem in terms(plain(sentence)) if not stem[0].isdigit()}  # numbers count apart
        share = len(stems & self.stems) / len(stems) if stems else float(bool(_numbers(sentence)))
        numbers = sorted(_numbers(sentence) - self.numbers)
        names = _names(sentence)
        absent = [name for name in names if not set(terms(name)) <= self.stems]
        support = _support(share, bool(numbers), len(absent), len(names))
        return SentenceGrounding(sentence, support, share, (*numbers, *absent))


def _support(share: float, number_missing: bool, names_missing: int, names: int) -> Support:
    if number_missing or names_missing * 2 > names or share < PARTLY_SHARE:
        return "unsupported"
    return "partly" if names_missing or share < SUPPORTED_SHARE else "supported"


def _numbers(text: str) -> frozenset[str]:
    """The numbers, also those written as words up to twelve, without thousands separators."""
    digits = {match.replace(",", "") for match in _NUMBER.findall(text)}
    words = set(re.findall(r"[a-z]+", text.lower())) & _NUMBER_WORDS.keys()
    return frozenset(digits | {_NUMBER_WORDS[word] for word in words})


def _names(sentence: str) -> list[str]:
    """Capitalised words, but for the first of the sentence and stop words."""
    return list(dict.fromkeys(n for n in _NAME.findall(sentence) if n.lower() not in STOP_WORDS))


def _squeezed(text: str) -> str:
    return " ".join(text.split())
