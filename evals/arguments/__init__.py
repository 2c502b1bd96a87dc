"""Whether the check of a tool's arguments passes the calls that are right, and refuses those that break the schema."""

from .cases import Case, read_cases
from .measure import ArgumentFigures, measure_arguments

__all__ = ["ArgumentFigures", "Case", "measure_arguments", "read_cases"]
