"""Collegium: typed multi-agent graphs on LangGraph, with effects that happen once.

The public names below are loaded on first use (PEP 562), so `import collegium` starts
no client, reads no environment and imports neither langgraph nor openai nor chromadb.
"""

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# In a checkout the rooms are folders at the repository root and the entries beside this
# file are links to them; load the folders themselves, so that tracebacks, breakpoints and
# coverage name agents/planner.py. In an installed wheel this is false.
_here = _Path(__file__).parent
if (_here / "agents").is_symlink() or not (_here / "agents").is_dir():
    __path__.insert(0, str(_here.parents[1]))

_HOMES = {
    "CollegiumError": "core",
    "END": "graphs",
    "START": "graphs",
    "Graph": "graphs",
    "State": "graphs",
    "append": "graphs",
    "came_from": "graphs",
    "at_most": "graphs",
    "keep": "graphs",
    "merge_by_id": "graphs",
    "Approve": "runs",
    "Edit": "runs",
    "Reject": "runs",
    "Respond": "runs",
    "Run": "runs",
    "Runner": "runs",
    "Budget": "runs",
    "Extend": "runs",
    "Policy": "guardrails",
    "tool": "tools",
    "model": "models",
}

if TYPE_CHECKING:
    from .core import CollegiumError as CollegiumError
    from .graphs import END as END
    from .graphs import START as START
    from .graphs import Graph as Graph
    from .graphs import State as State
    from .graphs import append as append
    from .graphs import at_most as at_most
    from .graphs import came_from as came_from
    from .graphs import keep as keep
    from .graphs import merge_by_id as merge_by_id
    from .guardrails import Policy as Policy
    from .models import model as model
    from .runs import Approve as Approve
    from .runs import Budget as Budget
    from .runs import Edit as Edit
    from .runs import Extend as Extend
    from .runs import Reject as Reject
    from .runs import Respond as Respond
    from .runs import Run as Run
    from .runs import Runner as Runner
    from .tools import tool as tool

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
