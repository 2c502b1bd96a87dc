"""Tools of MCP servers: pinned as the user approved them, untrusted in what they return, bounded in what they send."""

from .limits import McpLimits
from .pins import McpChange
from .servers import McpServers
from .tool import McpTool

__all__ = ["McpChange", "McpLimits", "McpServers", "McpTool"]
