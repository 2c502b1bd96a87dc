"""How much of the machine a box may use."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...core.errors import InvalidTool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What everything in a box may use together, unless a field says otherwise. At a limit the whole box is killed."""

    wall_s: float = 30
    """Seconds from start to end."""
    cpu_s: int = 10
    """Seconds of processor time."""
    memory_mb: int = 512
    """Memory, in MB; also the address space of each process."""
    processes: int = 64
    """Processes and threads."""
    file_mb: int = 50
    """Length of one file."""
    disk_mb: int = 64
    """All files."""
    files: int = 16_384
    """Number of files and folders."""
    output_kb: int = 64
    """What is printed, output and errors together."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (isinstance(value, int | float) and 0 < value < 1e9):
                raise InvalidTool("Limits", f"{one.name} is {value!r}; give a number above 0.")
