"""Recordings of whole runs: what a run got from outside, noted once and played back without it."""

from .cassette import Cassette
from .scrubbing import Scrubber

__all__ = ["Cassette", "Scrubber"]
