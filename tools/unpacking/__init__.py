"""Reading archives from strangers: what they hold is checked while it is read, and amounts are limited."""

from .limits import Limits
from .members import Member, members

__all__ = ["Limits", "Member", "members"]
