"""What the form of a question says about its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .words import terms

_SUBJECT = r"(?P<{}>(?:(?:an?|the) )?[\w.@/+-]+(?: [\w.@/+-]+){{0,3}}?)"
_DEFINITION = re.compile(
    r"\W*(?:what(?:'s| is| was) the (?:purpose|goal|aim|point|use) of "
    + _SUBJECT.format("purpose")
    + r"|(?:what|who)(?:'s| is| are| was| were) "
    + _SUBJECT.format("is")
    + r"(?: (?:(?:used |good |made |meant )?for|about|all about))?"
    + r"|what (?:do|does|did) "
    + _SUBJECT.format("does")
    + r" (?:do|provide|offer|mean)"
    + r"|(?:describe|define|explain) "
    + _SUBJECT.format("told")
    + r")\W*",
    re.IGNORECASE,
)
_CODE = re.compile(r"\b(?:how|install|installed|command|commands|code|example|import|snippet|syntax|run|call)\b", re.I)
_IS = r"\s+(?:is|are|was|were|provides?|offers?|implements?|helps?|allows?|lets|gives?|makes?|contains?)\b"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, read once."""

    text: str
    words: frozenset[str]
    """Stems of its words that carry meaning."""
    subject: frozenset[str]
    """Stems of what it wants a definition of; empty when it asks for something else."""
    wants_code: bool
    """Whether a line of code may answer it."""

    @classmethod
    def read(cls, text: str) -> Question:
        """The question in `text`."""
        match = _DEFINITION.fullmatch(text)
        subject = next((part for part in match.groups() if part), "") if match else ""
        return cls(text, frozenset(terms(text)), frozenset(terms(subject)), bool(_CODE.search(text)))

    def names(self, title: str) -> bool:
        """Whether every word of a document's title stands in the question."""
        words = frozenset(terms(title))
        return bool(words) and words <= self.words

    def is_defined_by(self, sentence: str, title: str) -> bool:
        """Whether the sentence says what the subject is: "X is …", or the summary of the document X."""
        if sentence.startswith("Summary: "):
            return self.subject == frozenset(terms(title))
        start = re.match(r"(.{1,60}?)" + _IS, sentence)
        return start is not None and self.subject == frozenset(terms(start[1]))
