"""What agents can do to the world: `@tool`, its declarations, and three tools that come with Collegium.

Those three are loaded when they are asked for: every room above needs the declarations, few need `knowledge` too.
"""

from typing import TYPE_CHECKING

from .base import DepsT, Effect, IdempotencyKey, Probe, Risk, Tool, ToolContext, ToolResult
from .function import FunctionTool, as_tools, tool
from .values import to_json_value

if TYPE_CHECKING:
    from .builtin import calculator, knowledge_search, workspace

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
    "as_tools",
    "calculator",
    "knowledge_search",
    "to_json_value",
    "tool",
    "workspace",
]


def __getattr__(name: str) -> object:
    if name not in ("calculator", "knowledge_search", "workspace"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import builtin

    return getattr(builtin, name)
