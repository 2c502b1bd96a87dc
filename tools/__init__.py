"""What agents can do to the world: `@tool`, its declarations, and the tools that come with Collegium.

Those are loaded one by one when they are asked for: every room above needs the declarations, few need a sandbox.
"""

from typing import TYPE_CHECKING

from .base import DepsT, Effect, IdempotencyKey, Probe, Risk, Tool, ToolContext, ToolResult
from .function import FunctionTool, as_tools, tool
from .values import to_json_value

if TYPE_CHECKING:
    from .builtin.archives import archives
    from .builtin.calculator import calculator
    from .builtin.command import command
    from .builtin.http import http
    from .builtin.memory import memory
    from .builtin.python import python
    from .builtin.search import knowledge_search
    from .builtin.workspace import workspace

__all__ = [
    "DepsT",
    "Effect",
    "FunctionTool",
    "IdempotencyKey",
    "Probe",
    "Risk",
    "Tool",
    "ToolContext",
    "ToolResult",
    "archives",
    "as_tools",
    "calculator",
    "command",
    "http",
    "knowledge_search",
    "memory",
    "python",
    "to_json_value",
    "tool",
    "workspace",
]

_BUILTIN = {
    "archives": "archives",
    "calculator": "calculator",
    "command": "command",
    "http": "http",
    "knowledge_search": "search",
    "memory": "memory",
    "python": "python",
    "workspace": "workspace",
}
"""A built-in tool, and the file that it is in."""


def __getattr__(name: str) -> object:
    if name not in _BUILTIN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".builtin.{_BUILTIN[name]}", __name__), name)
