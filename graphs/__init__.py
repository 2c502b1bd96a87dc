"""Typed graphs on LangGraph: state, nodes with ports, maps, loops, checks and drawings.

Plain LangGraph's `START`, `END`, `Send` and `Command` are here under their own names.
"""

from langgraph.graph import END, START
from langgraph.types import Command, Send

from . import draw
from .checks import check
from .findings import Finding, collecting
from .graph import Graph
from .reducers import append, at_most, merge_by_id
from .state import State, came_from, keep

__all__ = [
    "END",
    "START",
    "Command",
    "Finding",
    "Graph",
    "Send",
    "State",
    "append",
    "at_most",
    "came_from",
    "check",
    "collecting",
    "draw",
    "keep",
    "merge_by_id",
]
