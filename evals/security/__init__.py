"""The effect test: whether injected text can act, with a model that obeys it, in every shape of graph."""

from .attacks import Attack, read_attacks
from .honest import Kept, Task, honest_work, read_tasks
from .shapes import SHAPES
from .trial import OFF, Tally, attacked

__all__ = ["OFF", "SHAPES", "Attack", "Kept", "Tally", "Task", "attacked", "honest_work", "read_attacks", "read_tasks"]
