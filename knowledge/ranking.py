"""How a search ranks, and what each ranking gave a passage."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ..core.errors import InvalidInput
from .passages import Passage

Fusion = Literal["weighted", "rrf"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How keywords and vectors become one order. The defaults are those that `docs/knowledge.md` gives figures for.

    Raises:
        InvalidInput: A value is outside of its bounds.
    """

    fusion: Fusion = "weighted"
    """`weighted`: both scores scaled to 0..1 over all passages, then summed. `rrf`: reciprocal rank fusion (Cormack,
    Clarke and Büttcher 2009): ranks only, both alike."""
    keyword_weight: float = 0.4
    """Of a weighted fusion; 1.0 ranks by keywords alone, 0.0 by vectors alone."""
    rrf_k: int = 10
    """Of a fusion by ranks: how little the first ranks stand out."""
    feedback: int = 10
    """Passages of a first search whose words are added to the query's own for a second look at the keywords; 0: none.
    Only where keywords and vectors both have a say."""
    diversity: float = 0.0
    """Above 0, maximal marginal relevance (Carbonell and Goldstein 1998): each next passage has the highest
    (1 - diversity) * score - diversity * (highest cosine to one that was taken)."""
    repeats: bool = False
    """Whether passages that say the same as a better one are returned, too."""

    def __post_init__(self) -> None:
        if self.fusion not in ("weighted", "rrf"):
            raise InvalidInput("fusion", f"it is {self.fusion!r}; use 'weighted' or 'rrf'.")
        for name in ("keyword_weight", "diversity"):
            value: float = getattr(self, name)
            if not 0 <= value <= 1:
                raise InvalidInput(name, f"it is {value!r}; use a number from 0 to 1.")
        if self.rrf_k < 1 or self.feedback < 0:
            raise InvalidInput(
                "rrf_k" if self.rrf_k < 1 else "feedback", "use a whole number, at least 1 (feedback: 0)."
            )

    @property
    def parts(self) -> tuple[bool, bool]:
        """Whether keywords, and whether vectors, have a say."""
        return self.fusion == "rrf" or self.keyword_weight > 0, self.fusion == "rrf" or self.keyword_weight < 1


@dataclass(frozen=True, slots=True)
class Where:
    """Which passages a search may return; all that is given must hold."""

    source: str | None = None
    """A pattern for the source's path, as `*/manual/*.md`; `*` also matches `/`. A name without `*` and `/` stands for
    any source that ends in it."""
    heading: str | None = None
    """Words that stand in the passage's heading path, in any case."""

    def allows(self, passage: Passage) -> bool:
        """Whether the passage may be returned."""
        if self.source is not None and not _matches(passage.source, self.source):
            return False
        return self.heading is None or self.heading.casefold() in passage.heading.casefold()


@dataclass(frozen=True, slots=True)
class Part:
    """What one ranking gave a passage."""

    rank: int
    """1 is the best; equal scores share the better rank."""
    score: float
    """BM25, or cosine; before any scaling."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was found, and why."""

    passage: Passage
    """With its fused score."""
    keyword: Part | None
    """None when it shares no word with the query, or keywords had no say."""
    vector: Part | None
    """None when vectors had no say."""
    named: bool = False
    """Whether the query names its document, which raised its score."""
    reranked: Part | None = None
    """What a reranker gave it among those that it read; None without one."""


def _matches(source: str, pattern: str) -> bool:
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(source, pattern) or fnmatchcase(source, f"*/{pattern}")
    return source == pattern or source.endswith(f"/{pattern}")
