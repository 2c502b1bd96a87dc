"""What a detector finds in a text: a kind and its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Finding(NamedTuple):
    """A stretch of text of a kind that somebody may not want to pass on."""

    start: int
    end: int
    kind: str
    """In lower case, as in `email`; its placeholder is `[EMAIL_1]`."""


class Finder(Protocol):
    """Finds what is sensitive in a text.

    What it says about a place may depend on `REACH` characters before and after that place and on the unbroken
    run around it (see `run_start`), not on more: a stream is looked at in pieces of that size.
    """

    def __call__(self, text: str) -> Iterable[Finding]:
        """The findings, in any order; they may overlap."""
        ...


REACH = 64
"""Characters around a place that a finder may take into account."""


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in order, those that overlap as one, of the kind of the longest among them.

    Nothing of either is left outside, as would be if one of them gave way.
    """
    merged: list[Finding] = []
    longest = 0
    for finding in sorted(findings):
        if not merged or finding.start >= merged[-1].end:
            merged.append(finding)
            longest = finding.end - finding.start
            continue
        last, size = merged[-1], finding.end - finding.start
        kind = finding.kind if size > longest else last.kind
        longest = max(size, longest)
        merged[-1] = Finding(last.start, max(last.end, finding.end), kind)
    return merged


def run_start(text: str, place: int) -> int:
    """Where the run that `place` lies in begins: after white space, or a letter of a script without word spaces."""
    while place > 0 and not text[place - 1].isspace() and text[place - 1] < _SPACELESS:
        place -= 1
    return place


_SPACELESS = "\u0e00"
"""Thai, Chinese, Japanese and others come after it; addresses and keys are written in what comes before."""
