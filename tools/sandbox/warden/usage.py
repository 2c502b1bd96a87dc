"""What the processes of a box use together, read from `/proc`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` itself is slow to load
    from ..order import Order

_TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """The most that was seen so far."""

    def __init__(self, order: Order) -> None:
        self.cpu_s = 0.0
        self.peak_bytes = 0
        self.watched = _watched(order)

    def look(self, order: Order, warden: int, first: int) -> str:
        """Look once; the name of the limit that is passed, or nothing."""
        processes = [first, *below(first)] if first else below(warden)
        tasks = memory = 0
        cpu_s = 0.0
        for process in processes:
            found = _of(process)
            tasks, cpu_s, memory = tasks + found[0], cpu_s + found[1], memory + found[2]
        self.cpu_s = max(self.cpu_s, cpu_s)
        if memory > order["memory_bytes"]:
            memory = sum(_share(process) for process in processes)  # what forks share, counted once
        self.peak_bytes = max(self.peak_bytes, memory)
        if cpu_s > order["cpu_s"]:
            return "cpu"
        if memory > order["memory_bytes"]:
            return "memory"
        if tasks > order["tasks"]:
            return "processes"
        for folder, most_bytes, most_files in self.watched:
            files, size = _held(folder, most_bytes, most_files)
            if files > most_files or size > most_bytes:
                return "disk"
        return ""


def below(process: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    waiting = [process]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(process: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{process}/task")
        return [int(child) for task in tasks for child in _text(f"/proc/{process}/task/{task}/children").split()]
    except OSError:
        return []


def _of(process: int) -> tuple[int, float, int]:
    """Tasks, seconds of CPU (with those of children that were waited for) and bytes of its own memory."""
    try:
        words = _text(f"/proc/{process}/stat").rpartition(")")[2].split()
        lines = _text(f"/proc/{process}/status").splitlines()
    except OSError:  # it has ended meanwhile
        return 0, 0.0, 0
    cpu_s = sum(int(word) for word in words[11:15]) / _TICKS
    memory = sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return int(words[17]), cpu_s, memory * 1024


def _share(process: int) -> int:
    try:
        for line in _text(f"/proc/{process}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _of(process)[2]


def _text(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536).decode(errors="replace")
    finally:
        os.close(descriptor)


def _watched(order: Order) -> list[tuple[str, int, int]]:
    """Folders on the machine's own disk that the box may fill: how many bytes and files each may come to hold.

    Raises:
        OSError: A folder holds so much already that it could not be watched.
    """
    most_bytes, most_files = order["disk_bytes"], order["inodes"]
    watched = [(order["work"], most_bytes, most_files)] if order["work"] else []
    if order["folder"] and order["writable"]:
        files, size = _held(order["folder"], 1 << 62, most_files)
        if files > most_files:
            raise OSError(28, f"a folder that may be changed holds more than {most_files} files already")
        watched.append((order["folder"], size + most_bytes, files + most_files))
    return watched


def _held(folder: str, most_bytes: int, most_files: int) -> tuple[int, int]:
    """Files in a folder and bytes that they take; the look is short, as it ends where there are more than may be."""
    files = size = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    files, size = files + 1, size + found.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if files > most_files or size > most_bytes:
                        return files, size
        except OSError:  # it vanished meanwhile, or is closed to its own owner
            continue
    return files, size
