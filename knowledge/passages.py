"""What retrieval hands on: passages with exact spans, and citations that quote them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..core.tape import Codec


class Passage(BaseModel):
    """A piece of a source, word for word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage_id: str
    """Digest of source and span; equal for an unchanged source."""
    source: str
    """Path (or name) of the document."""
    start: int = Field(ge=0)
    """First character in the source's text."""
    end: int = Field(ge=0)
    """One past the last character."""
    text: str
    heading: str = ""
    """The title of its document and the headings above it, outermost first, joined by ` > `."""
    page: int | None = Field(default=None, ge=1)
    """The page that it begins on, from 1; None where its source has no pages."""
    score: float = 0.0
    """Its place in the order of the query it was found by, in [0, 1]: the best of any search is near 1."""
    relevance: float | None = Field(default=None, ge=0, le=1)
    """How probable it is that it is about what was asked, by calibration; None where nothing was calibrated."""

    @property
    def title(self) -> str:
        """What its document is called: the first part of `heading`."""
        return self.heading.partition(" > ")[0]


def _told(found: list[Passage]) -> list[dict[str, Any]]:
    return [passage.model_dump(mode="json") for passage in found]


def _found(told: list[dict[str, Any]]) -> list[Passage]:
    return [Passage.model_validate(passage) for passage in told]


PASSAGES: Codec[list[Passage]] = Codec(_told, _found)
"""How a recording keeps what a search found."""


class Citation(BaseModel):
    """Where a statement of an answer stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage_id: str
    source: str
    start: int = Field(ge=0)
    """First character of the quote in the source's text."""
    end: int = Field(ge=0)
    quote: str
    """The source's own words from `start` to `end`."""
    page: int | None = Field(default=None, ge=1)
    """The page that it stands on, from 1; None where its source has no pages."""
