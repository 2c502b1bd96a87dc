"""Boxes for programs that nobody vouches for: walls, limits, and nothing of them left afterwards."""

from .box import End, Program, Ran, run_boxed
from .limits import Limits
from .order import Walls
from .strength import PROMISES, Strength, strength, walls_of_at_least

__all__ = [
    "PROMISES",
    "End",
    "Limits",
    "Program",
    "Ran",
    "Strength",
    "Walls",
    "run_boxed",
    "strength",
    "walls_of_at_least",
]
