"""The three drawings of a graph. Maps, loops and inner graphs are one node each."""

from __future__ import annotations

from ..checks.outline import AnyGraph
from .diagram import diagram
from .flowchart import as_mermaid
from .lines import as_text
from .picture import as_svg


def text(graph: AnyGraph) -> str:
    """For the terminal: lines of box characters without colours, then a line for each way back.

    Args:
        graph: A `Graph`, or LangGraph's own, compiled or not; so in all drawings.
    """
    return as_text(diagram(graph))


def mermaid(graph: AnyGraph) -> str:
    """A mermaid flowchart, which Markdown viewers show as a picture."""
    return as_mermaid(diagram(graph))


def svg(graph: AnyGraph) -> str:
    """A picture that stands alone, for light and dark pages."""
    return as_svg(diagram(graph))
