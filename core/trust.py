"""Where a value came from, and whether it may be believed.

Text that enters from outside (retrieval, tools, files, the web) is untrusted, and what a model
writes after reading it stays untrusted. Labels decide nothing here: the policy reads them.

While a node works, a `Reading` collects where everything that it has met came from: the fields that it
reads, and what its model calls, tools and look-ups bring. What the node writes carries that label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Literal, get_args

Trust = Literal["trusted", "untrusted"]

Origin = Literal["user", "developer", "model", "retrieval", "tool", "file", "web", "mcp"]

ORIGINS: tuple[Origin, ...] = get_args(Origin)

UNTRUSTED_ORIGINS: frozenset[Origin] = frozenset({"retrieval", "tool", "file", "web", "mcp"})

Labels = Mapping[str, Sequence[Origin]]
"""Names of fields to where their values came from."""

LABELS = "__origins__"
"""The hidden channel of a graph's state that holds its labels."""

PATH = ""
"""In place of a field: what led the run to where it stands, that is what routers have read."""


def trust_of(origins: Iterable[Origin]) -> Trust:
    """`untrusted` as soon as one origin lies outside the application."""
    return "trusted" if UNTRUSTED_ORIGINS.isdisjoint(origins) else "untrusted"


class Reading:
    """What the node at work has met so far."""

    __slots__ = ("entering", "found", "labels", "path", "written")

    def __init__(self, found: set[Origin] | None = None, labels: Labels | None = None, path: Iterable[Origin] = ()):
        self.found: set[Origin] = set() if found is None else found
        """Where it came from."""
        self.labels: Labels = {} if labels is None else labels
        """Those of the state, as the node began."""
        self.path: frozenset[Origin] = frozenset(path)
        """Where the texts came from by which the run was led here: what routers have read."""
        self.entering: Labels | None = None
        """Labels for the inputs of a graph that the node is about to run; None: `found` for each of them."""
        self.written: dict[str, frozenset[Origin]] = {}
        """Labels of single fields that the node writes, where they are known better than `found`."""


current_reading: ContextVar[Reading | None] = ContextVar("collegium_reading", default=None)
"""What the node at work has met, or None outside a node."""


def met(*origins: Origin) -> None:
    """Tell that the node at work has met something that came from there; outside a node nothing happens."""
    if (reading := current_reading.get()) is not None:
        reading.found.update(origins)


def met_so_far() -> frozenset[Origin]:
    """Where everything came from that the node at work has met; empty outside a node."""
    reading = current_reading.get()
    return frozenset() if reading is None else frozenset(reading.found)


def origins_here() -> frozenset[Origin] | None:
    """What bears on a call made now: all that the node has met and what led the run to it; None outside a node."""
    reading = current_reading.get()
    return None if reading is None else reading.path | reading.found
