"""Prompts as files: a conversation of turns, with `$names` where the program puts its material.

A turn starts with a line `--- system`, `--- user` or `--- assistant`. A text without such a line is
instructions only: it takes the place of the default's system turn, and the other turns stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from string import Template
from typing import cast

from ..core.errors import GraphSetupError
from ..core.messages import Message, Role
from ..core.trust import Origin

_FOLDER = Path(__file__).parent / "prompts"
_TURN = re.compile(r"^--- (system|user|assistant)[ \t]*\n", re.MULTILINE)
_Turn = tuple[Role, Template]


class Prompt:
    """The turns that open a model call.

    Args:
        default: Name of the file in `agents/prompts`, without its ending.
        given: The user's own text, or the file that holds it; None for the default.
    """

    def __init__(self, default: str, given: str | Path | None = None) -> None:
        self._default = default
        self._given = given
        if isinstance(given, str):
            _ = self._turns

    def messages(self, *, origins: frozenset[Origin] = frozenset(), **values: object) -> list[Message]:
        """The turns with `values` in their places; the last one carries `origins`."""
        made = [
            turn if isinstance(turn, Message) else Message(turn[0], turn[1].substitute(values).strip())
            for turn in self._ready
        ]
        last = made[-1]
        return [*made[:-1], Message(last.role, last.content, origins=origins)]

    @cached_property
    def _ready(self) -> Sequence[_Turn | Message]:
        """The turns; those that nothing is put into as the messages that they are."""
        return [
            (role, template) if template.get_identifiers() else Message(role, template.substitute().strip())
            for role, template in self._turns
        ]

    @cached_property
    def _turns(self) -> Sequence[_Turn]:
        standard = _parse((_FOLDER / f"{self._default}.md").read_text("utf-8"))
        if self._given is None:
            return standard
        text = self._given if isinstance(self._given, str) else _read(self._given)
        own = _parse(text) if _TURN.search(text) else _with_instructions(standard, text)
        known = {name for _, template in standard for name in template.get_identifiers()}
        for _, template in own:
            if not template.is_valid():
                raise GraphSetupError(f"The prompt for {self._default!r} has a lone $; write $$ for a dollar.")
            if unknown := set(template.get_identifiers()) - known:
                raise GraphSetupError(
                    f"The prompt for {self._default!r} names ${min(unknown)}, which nothing fills in. "
                    f"It may name: {', '.join(f'${name}' for name in sorted(known))}; write $$ for a dollar."
                )
        return own


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise GraphSetupError(f"The prompt {str(path)!r} cannot be read: {error.strerror}.") from error


def _parse(text: str) -> list[_Turn]:
    pieces = _TURN.split(text)[1:]
    return [(cast(Role, role), Template(body)) for role, body in zip(pieces[::2], pieces[1::2], strict=True)]


def _with_instructions(standard: Sequence[_Turn], text: str) -> list[_Turn]:
    return [("system", Template(text)), *(turn for turn in standard if turn[0] != "system")]
