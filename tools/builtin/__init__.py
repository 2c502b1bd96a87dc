"""Three tools that come with Collegium."""

from .calculator import calculator
from .search import knowledge_search
from .workspace import workspace

__all__ = ["calculator", "knowledge_search", "workspace"]
