"""What every room may use: errors, messages, trust labels, run context, settings, clock, ids."""

from .errors import CollegiumError
from .messages import Message, Role, ToolCall, ToolSpec, Usage

__all__ = ["CollegiumError", "Message", "Role", "ToolCall", "ToolSpec", "Usage"]
