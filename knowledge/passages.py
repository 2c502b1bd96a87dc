"""What retrieval hands on: passages with exact spans, and citations that quote them."""

from __future__ import annotations

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
    score: float = 0.0
    """Fused relevance for the query it was found by, in [0, 1]."""

    @property
    def title(self) -> str:
        """What its document is called: the first part of `heading`."""
        return self.heading.partition(" > ")[0]


PASSAGES: Codec[list[Passage]] = Codec(
    lambda found: [passage.model_dump(mode="json") for passage in found],
    lambda told: [Passage.model_validate(passage) for passage in told],
)
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
