"""Where in a run something is asked, in words that are the same in every run of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

from ...runs.scope import node_path

_PUSHED = "__pregel_push"
"""How LangGraph marks a task that a `Send` began; the number after it is the task's own in its step."""


def place() -> str:
    """The node path, with the number of the branch where a map runs the node many times; empty outside nodes."""
    path = node_path()
    if path is None:
        return ""
    config = var_child_runnable_config.get() or {}
    metadata: Mapping[str, Any] = config.get("metadata") or {}
    task: Sequence[Any] = metadata.get("langgraph_path") or ()
    return f"{path}[{task[1]}]" if len(task) > 1 and task[0] == _PUSHED else path
