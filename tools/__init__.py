"""What agents can do to the world: `@tool`, its declarations, and three tools that come with Collegium."""

from .base import DepsT, Effect, IdempotencyKey, Probe, Risk, Tool, ToolContext, ToolResult
from .builtin import calculator, knowledge_search, workspace
from .function import FunctionTool, as_tools, tool
from .values import to_json_value

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
