"""What may come of an odd value, and what may reach a terminal."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from unittest.mock import patch

import typer
from hypothesis.strategies import SearchStrategy

from collegium.cli import main
from collegium.core.errors import CollegiumError

Outcome = Literal["accepted", "refused"]


@dataclass(frozen=True, slots=True)
class Door:
    """A way in: what is brought to it, and what comes of it."""

    name: str
    examples: SearchStrategy[Any]
    attempt: Callable[[Any], Outcome]
    """Raises whatever is not handled, and AssertionError where a refusal or the terminal is not as it should be."""
    close: Callable[[], None] = lambda: None


# On a terminal our own styles (SGR) and what redraws a live line are taken out first. What is left of C0 but line
# feed and tab, of C1, delete, and the marks that reorder or hide text is raw.
_OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\x1b\[1A|\r?\x1b\[2K")
_BROUGHT = "\x1b[31mred"
"""A style that is brought to every door; none of our own looks like it."""
_RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def raw_controls(shown: bytes, *, terminal: bool) -> list[str]:
    """Control characters that a terminal would act on; a byte that is no UTF-8 is one, too."""
    text = shown.decode("utf-8", "surrogateescape")
    if _BROUGHT in text:
        return [_BROUGHT]
    text = _OWN.sub("", text) if terminal else text
    return [*_RAW.findall(text), *(mark for mark in text if "\ud800" <= mark <= "\udfff")]


_tree = cache(typer.main.get_command)
"""Typer builds its tree of commands for each call: always the same one, and most of what a short command takes."""


class _Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Shown:
    """What one command left."""

    status: int
    out: bytes
    err: bytes


def command(words: Iterable[str], *, terminal: bool = False) -> Shown:
    """Run a command in this process and catch, byte by byte, what it writes."""
    out, err = io.BytesIO(), io.BytesIO()
    kind = _Terminal if terminal else io.TextIOWrapper
    streams = kind(out, "utf-8", "strict"), kind(err, "utf-8", "backslashreplace")  # they close what is below them
    with _streams(*streams):
        try:
            with patch.object(typer.main, "get_command", _tree):
                main(list(words))
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        else:
            status = 0
        sys.stdout.flush()
        sys.stderr.flush()
    return Shown(status, out.getvalue(), err.getvalue())


@contextmanager
def _streams(out: io.TextIOWrapper, err: io.TextIOWrapper) -> Generator[None]:
    before = sys.stdin, sys.stdout, sys.stderr
    with open(os.devnull, encoding="utf-8") as nothing:
        sys.stdin, sys.stdout, sys.stderr = nothing, out, err
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = before


def judged_command(words: list[str], *, terminal: bool = False, named: Iterable[str] = ()) -> Outcome:
    """Run a command and hold it to its promises.

    Args:
        words: The command.
        terminal: Whether its streams say that they are a terminal.
        named: A refusal must hold one of these words, where any are given.
    """
    shown = command(words, terminal=terminal)
    told = shown.err.decode("utf-8", "replace")
    assert "The trace is in" not in told, told  # what `failures.explained` says of an error that nobody foresaw
    assert "Traceback" not in told, told
    assert shown.status in (0, 1, 2, 3), shown.status
    assert raw_controls(shown.out, terminal=terminal) == [], shown.out[-2000:]
    assert raw_controls(shown.err, terminal=terminal) == [], told
    if shown.status == 2:
        assert told.count("\n") == 1, told
        wanted = list(named)
        assert not wanted or any(word in told for word in wanted), f"none of {wanted} is named: {told}"
        return "refused"
    return "accepted" if shown.status in (0, 3) else "refused"


def judged(work: Callable[[], Any], *fields: str) -> Outcome:
    """Do something that may be refused by an error of our own, which names a field (one of `fields`, if given)."""
    try:
        work()
    except CollegiumError as error:
        text = str(error)
        assert text.strip(), repr(error)
        assert not fields or any(field in text for field in fields), f"none of {fields} is named: {text:.500}"
        return "refused"
    return "accepted"
