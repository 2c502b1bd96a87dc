"""The error of one file that cannot be a source."""

from __future__ import annotations

from ..core.errors import KnowledgeError


class Unreadable(KnowledgeError):
    """One file that cannot be a source; an ingestion goes on without it."""

    code = "unreadable"
