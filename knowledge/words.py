"""Words as retrieval compares them: markup away, spelling folded, stemmed."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from importlib import import_module
from threading import local
from typing import Protocol, cast

# Longest forms first: an image inside a link is removed before the link is reduced to its text.
_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"<!--.*?-->", re.S), " "),
    (re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])"), " "),
    (re.compile(r"\[([^\[\]]*)\]\([^()\s]*(?:\([^()\s]*\))?[^()\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),
    (re.compile(r"\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),
    (re.compile(r"(?<!\w):[a-zA-Z:]+:`~?([^`<]+?)(?:\s*<[^`>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), r"\1"),
    (re.compile(r"<((?:https?://|mailto:)[^>\s]+)>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), " "),
    (re.compile(r"^\.\. \|?[\w| -]+::.*$|^\s+:[\w-]+:.*$", re.M), " "),
    (re.compile(r"[*`|]+|(?<!\w)_{1,2}(?=\w)|(?<=\w)_{1,2}(?!\w)"), " "),
)
_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+")
_DECADE = re.compile(r"\b((?:1\d|20)\d0)['’]s\b")
_SPACE = re.compile(r"\s+")

# What field names of package metadata mean in the words that people ask with; it helps to find a field
# and is never shown. The fields are those of the core metadata specification.
_FIELD_WORDS = {
    "requires-python": "supported, required, minimum Python version",
    "requires-dist": "depends on, requires, needs, dependency package",
    "provides-extra": "optional extra feature",
    "author": "who wrote, created, developed it",
    "author-email": "author, who wrote, created, developed it",
    "maintainer": "who maintains it",
    "maintainer-email": "maintainer, who maintains it",
    "license": "licensed, released, published under",
    "license-expression": "license, licensed, released, published under",
    "home-page": "homepage website URL",
    "project-url": "website URL",
    "summary": "summary description, what it is and does",
    "version": "current release version",
}
_FIELD = re.compile(r"^([A-Za-z][\w-]*): ")

STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being below between
    both but by can could did do does doing done down during each few for from further had has have having he
    her here hers him his how i if in into is it its itself just me more most my no nor not of off on once only
    or other our out over own per s same she should so some such t than that the their them then there these
    they this those through to too under until up upon us very was we were what when where whether which while
    who whom whose why will with would you your yours""".split()
)

# British to American, so that "licence" finds "License" and "colour" finds "color".
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(licen|defen|offen|preten)ce(s|d)?$"), r"\1se\2"),
    (re.compile(r"(\w{2,})is(e|es|ed|ing|er|ers|ation|ations)$"), r"\1iz\2"),
    (re.compile(r"^(col|behavi|fav|hon|lab|harb|neighb|flav|hum|rum)our"), r"\1or"),
    (re.compile(r"^(cent|met|fib|theat|lit)re(s|d)?$"), r"\1er\2"),
    (re.compile(r"^(catal|dial|anal)ogue(s|d)?$"), r"\1og\2"),
    (re.compile(r"^(programme)(s|d)?$"), r"program\2"),
)
_local = local()


def plain(text: str) -> str:
    """The words of Markdown, reStructuredText or HTML without their markup; links keep their text.

    Images and badges vanish. For comparing only: a quote is always taken from the source as it stands.
    """
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return _SPACE.sub(" ", html.unescape(text)).strip()


def searchable(text: str) -> str:
    """`plain`, with the meaning of a metadata field's name beside it."""
    name = _FIELD.match(text)
    words = _FIELD_WORDS.get(name[1].lower()) if name else None
    if words and "extra ==" in text:
        words = "optional dependency of an extra"
    return f"{plain(text)} ({words})" if words else plain(text)


def terms(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order, with repeats.

    Lower case, accents and British spellings folded, English stop words left out; `3.11` stays one word.
    """
    folded = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    folded = _DECADE.sub(r"\1s", folded)
    return [_stem(word) for word in _WORD.findall(folded) if word not in STOP_WORDS]


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    for pattern, replacement in _SPELLINGS:
        word = pattern.sub(replacement, word)
    return _stemmer().stemWord(word)


class Stemmer(Protocol):
    """What is used of PyStemmer, which has no types."""

    def stemWord(self, word: str) -> str:
        """The stem of one word."""
        ...


def _stemmer() -> Stemmer:
    # one a thread: a stemmer keeps state while it works
    found: Stemmer | None = getattr(_local, "stemmer", None)
    if found is None:
        found = _local.stemmer = cast("Stemmer", import_module("Stemmer").Stemmer("english"))
    return found
