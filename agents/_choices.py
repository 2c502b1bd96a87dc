"""Types that are made at run time: one of several words or numbers, in a pydantic model's field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal


def one_of(values: Iterable[str | int]) -> Any:
    """The type of exactly these values; a model that fills a schema cannot say another."""
    return Literal[tuple(values)]  # pyright: ignore[reportReturnType]  (known at run time only)
