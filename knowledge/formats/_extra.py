"""Libraries of the `documents` extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..unreadable import Unreadable


def needed(module: str, source: str, kind: str) -> Any:
    """The library; it has no types.

    Raises:
        Unreadable: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise Unreadable(
            source, f"reading {kind} needs the 'documents' extra: pip install \"collegium[documents]\""
        ) from error
