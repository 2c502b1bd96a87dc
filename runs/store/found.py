"""What a search gave, and what it could not read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class Found(list[T]):
    """Records that could be read, as a list; `damaged` says which others could not.

    One damaged record must neither hide the rest nor vanish without a word.
    """

    def __init__(self, records: Iterable[T] = (), damaged: Iterable[str] = ()) -> None:
        super().__init__(records)
        self.damaged: tuple[str, ...] = tuple(damaged)
        """What could not be read or is missing, one line each; empty for a whole store."""
