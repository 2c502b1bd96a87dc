"""What the host tells the warden."""

from __future__ import annotations

from typing import Literal, TypedDict

Walls = Literal["namespaces", "filters", "limits"]
"""How a box holds, from strong to weak. namespaces: the program sees no file, process or network but its own.
filters: Landlock and seccomp keep it from files and network, yet it shares the machine's list of processes.
limits: only the amounts of what it uses are limited."""


class Order(TypedDict):
    """One box. Everything is a plain value, so that `marshal` can carry it."""

    walls: Walls
    user: int
    """The user and group to become; 0 for no change."""
    program: str
    argv: list[str]
    environment: dict[str, str]
    given: dict[str, bytes]
    """Files to put into the program's home."""
    readable: list[str]
    """Places of the machine that the program may read."""
    folder: str
    """A folder to show as `files` in the program's home; empty for none."""
    writable: bool
    inside: bool
    """Start in that folder rather than in the home."""
    work: str
    """The home, where the file system is not the box's own."""
    wall_s: float
    cpu_s: int
    memory_bytes: int
    file_bytes: int
    disk_bytes: int
    inodes: int
    output_bytes: int
    tasks: int
    """Processes and threads of the box together."""
    tasks_of_user: int
    """The same as the kernel counts: with all others of the user."""
