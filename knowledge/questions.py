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
_HOW = re.compile(r"\W*(?:how (?:do|does|can|could|should|to)\b|(?:which|what) commands?\b)", re.I)
_NUMBER = re.compile(
    r"\b(?:how (?:many|much|old|long|far|often|tall|high|large|big|heavy|fast|hot)|when|what time|what date"
    r"|(?:what|which) (?:year|decade|century|day|percentage|number)s?)\b",
    re.IGNORECASE,
)
_NUMERAL = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|half|halves|thirds?|quarters?|first|second|no|none"
    r"|once|twice|single|several|many|few|daily|weekly|monthly|yearly|always|never|day|night|week|month|year|century"
    r"|centuries|decades?|today|now|before|after|during|until|since|when|while|spring|summer|autumn|fall|winter"
    r"|morning|noon|evening|midnight|(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
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
    asks_how: bool
    """Whether it asks how something is done, or for a command."""
    wants_number: bool
    """Whether the answer is a number, an age or a time."""

    @classmethod
    def read(cls, text: str) -> Question:
        """The question in `text`."""
        match = _DEFINITION.fullmatch(text)
        subject = next((part for part in match.groups() if part), "") if match else ""
        return cls(
            text,
            frozenset(terms(text)),
            frozenset(terms(subject)),
            wants_code=bool(_CODE.search(text)),
            asks_how=bool(_HOW.match(text)),
            wants_number=bool(_NUMBER.search(text)),
        )

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


def has_number(text: str) -> bool:
    """Whether a text has a number, a time or a word for one."""
    return bool(_NUMERAL.search(text))
