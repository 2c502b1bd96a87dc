"""Whether a text says only what its evidence says, judged by words alone, clause by clause.

What a claim has that the evidence has not says more than how similar they are. Three signals (numbers and names
that are missing, and the share of words that two neighbouring sentences have) go through a logistic model whose
weights come from 354 claims about web pages with the labels of people: area under the ROC curve 0.83 in ten
folds, word overlap alone 0.70 (`benchmarks/grounding.py`). A pass is no proof: a negation or a swapped relation
is not seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from .clauses import clause_spans
from .structure import read_units
from .words import STOP_WORDS, plain, terms

Support = Literal["supported", "partly", "unsupported"]

SUPPORTED_PROBABILITY = 0.5
"""From here a sentence counts as supported: people would say so more often than not."""
PARTLY_SHARE = 0.4
"""With fewer of its words in the evidence, a clause is unsupported."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'’-]*[a-z0-9][\w'’-]*\b|\b[A-Z]{2,}\b")
_NUMBER_WORDS = {  # not "one", which is mostly no number
    word: str(number)
    for number, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), start=2)
}


class Signals(NamedTuple):
    """What the logistic model reads of a claim and its evidence."""

    numbers_missing: float
    names_missing: float
    near_share: float
    """Share of the stems (numbers count apart) that two neighbouring sentences have, at best; in [0, 1]."""


class Weights(NamedTuple):
    """The logistic model: log-odds that people call a claim fully supported."""

    intercept: float
    signals: Signals

    def probability(self, signals: Signals) -> float:
        """In (0, 1)."""
        odds = self.intercept + sum(w * s for w, s in zip(self.signals, signals, strict=True))
        return (1 + math.tanh(odds / 2)) / 2  # the logistic function, in a form that cannot overflow


WEIGHTS = Weights(-0.970, Signals(-1.264, -0.568, 2.050))
"""As `python -m benchmarks.grounding --data FILE` fitted them."""


@dataclass(frozen=True, slots=True)
class ClauseGrounding:
    """One clause of a sentence and what the evidence says to it."""

    clause: str
    support: Literal["supported", "unsupported"]
    missing: tuple[str, ...]
    """Numbers and names that the evidence does not have."""


@dataclass(frozen=True, slots=True)
class SentenceGrounding:
    """One sentence of the text and what the evidence says to it."""

    sentence: str
    support: Support
    share: float
    """Share of its stems that stand in the evidence, in [0, 1]."""
    missing: tuple[str, ...]
    """Numbers and names that the evidence does not have, numbers first."""
    probability: float = 0.0
    """How likely people would call it fully supported, by the logistic model; 1 when it stands there word for word."""
    clauses: tuple[ClauseGrounding, ...] = ()
    """Its clauses, in order."""
    start: int = 0
    """Its first character in the text."""
    end: int = 0

    @property
    def reason(self) -> str:
        """Why, in a few words."""
        if self.missing:
            return f"not in the evidence: {', '.join(self.missing)}"
        return f"{self.share:.0%} of its words stand in the evidence"

    @property
    def worth(self) -> float:
        """Supported 1, partly one half, unsupported 0; also 0 when a number is missing."""
        if self.support == "partly":
            return 0.0 if any(word[0].isdigit() for word in self.missing) else 0.5
        return float(self.support == "supported")


@dataclass(frozen=True, slots=True)
class Grounding:
    """The whole text, sentence by sentence."""

    sentences: tuple[SentenceGrounding, ...]

    @property
    def score(self) -> float:
        """Mean of what the sentences are worth. An empty text has 0."""
        return sum(s.worth for s in self.sentences) / len(self.sentences) if self.sentences else 0.0

    @property
    def probability(self) -> float:
        """That of the weakest sentence; 0 for an empty text."""
        return min((s.probability for s in self.sentences), default=0.0)

    @property
    def grounded(self) -> bool:
        """Whether every sentence is supported, and there is one."""
        return bool(self.sentences) and all(s.support == "supported" for s in self.sentences)


def check_grounding(text: str, evidence: Sequence[str]) -> Grounding:
    """Compare each sentence of `text` with the evidence, clause by clause.

    A clause is unsupported when one of its numbers is nowhere in the evidence, when under half of its names are,
    or when fewer than 4 in 10 of its words are. A sentence of such clauses alone is unsupported. It is partly
    supported when it has other clauses too, when a name is missing, or when the logistic model gives it less than an
    even chance.

    Args:
        text: What is claimed.
        evidence: Texts of the passages that it rests on.
    """
    known = _Evidence(evidence)
    units = [unit for unit in read_units(text) if unit.kind not in ("heading", "noise")]
    return Grounding(tuple(known.judge(text, unit.start, unit.end) for unit in units))


def signals(claim: str, evidence: Sequence[str]) -> Signals:
    """What the logistic model reads, for a claim of one sentence."""
    return _Evidence(evidence).signals(claim)


class _Evidence:
    """What all evidence texts have together."""

    def __init__(self, texts: Sequence[str]) -> None:
        whole = "\n".join(texts)
        self.stems = frozenset(terms(plain(whole)))
        self.numbers = _numbers(whole)
        self.verbatim = _squeezed(whole)
        self._texts = texts

    @cached_property
    def near(self) -> list[frozenset[str]]:
        """The stems of each two neighbouring sentences."""
        found: list[frozenset[str]] = []
        for text in self._texts:
            stems = [frozenset(terms(plain(text[unit.start : unit.end]))) for unit in read_units(text)]
            found += [one | other for one, other in zip(stems, [*stems[1:], frozenset[str]()], strict=True)]
        return found

    def judge(self, text: str, start: int, end: int) -> SentenceGrounding:
        sentence = text[start:end]
        if _squeezed(sentence) in self.verbatim:
            return SentenceGrounding(sentence, "supported", 1.0, (), 1.0, (), start, end)
        clauses = tuple(self._clause(sentence[slice(*span)]) for span in clause_spans(sentence))
        probability = WEIGHTS.probability(self.signals(sentence))
        missing = (*self._numbers_missing(sentence), *self._names_missing(sentence))
        support = _support(clauses, probability, whole=not missing)
        return SentenceGrounding(sentence, support, self._share(sentence), missing, probability, clauses, start, end)

    def signals(self, claim: str) -> Signals:
        stems = _stems(claim)
        near = max((len(stems & known) for known in self.near), default=0) / len(stems) if stems else 1.0
        missing = self._numbers_missing(claim), self._names_missing(claim)
        return Signals(len(missing[0]), len(missing[1]), near)

    def _clause(self, clause: str) -> ClauseGrounding:
        numbers, names = self._numbers_missing(clause), self._names_missing(clause)
        weak = numbers or len(names) * 2 > len(_names(clause)) or self._share(clause) < PARTLY_SHARE
        return ClauseGrounding(clause.strip(), "unsupported" if weak else "supported", (*numbers, *names))

    def _share(self, text: str) -> float:
        stems = _stems(text)
        return len(stems & self.stems) / len(stems) if stems else float(bool(_numbers(text)))

    def _numbers_missing(self, text: str) -> list[str]:
        return sorted(_numbers(text) - self.numbers)

    def _names_missing(self, text: str) -> list[str]:
        return [name for name in _names(text) if not set(terms(name)) <= self.stems]


def _support(clauses: Sequence[ClauseGrounding], probability: float, *, whole: bool) -> Support:
    weak = [clause for clause in clauses if clause.support == "unsupported"]
    if len(weak) == len(clauses):
        return "unsupported"
    return "supported" if whole and not weak and probability >= SUPPORTED_PROBABILITY else "partly"


def _stems(text: str) -> frozenset[str]:
    """Without numbers, which count apart."""
    return frozenset(stem for stem in terms(plain(text)) if not stem[0].isdigit())


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
