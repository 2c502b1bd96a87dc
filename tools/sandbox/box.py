"""Running a program in a box: what goes in, what came of it, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from ...core.errors import ToolError
from .limits import Limits
from .order import Order, Walls

End = Literal["exited", "killed", "wall", "cpu", "memory", "processes", "disk", "output"]
"""exited: the program ended by itself. killed: a signal ended it. Everything else is the limit that was passed."""

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/alternatives")
"""What programs and their libraries are made of; readable in every box."""
_ENDS: dict[str, End] = {"itself": "exited", "gone": "killed"}
_RIGHTS = 1 << 0 | 1 << 6 | 1 << 7
"""To hand a file to another user, to change the group, to change the user."""
_FAR = 0x70000000
_GRACE_S = 15.0
"""The warden keeps the time; one that has died or hangs is not waited for longer than this."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program in a box."""

    end: End
    exit_code: int | None
    """None when a signal or a limit ended it."""
    output: str
    errors: str
    wall_s: float
    cpu_s: float
    memory_mb: float
    """The most that a look at it saw; short programs end before the first."""
    walls: Walls


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is to run, and what it may see."""

    path: str
    argv: Sequence[str]
    given: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Files that are put into its home."""
    readable: Sequence[str] = ()
    """Places of the machine that it may read, beside the system's programs and libraries."""
    folder: str = ""
    """A folder that it sees as `files` in its home."""
    writable: bool = False
    inside: bool = False
    """Start in `folder` rather than in the home."""


async def run_boxed(program: Program, *, walls: Walls, limits: Limits | None = None, name: str = "box") -> Ran:
    """Run a program to its end; when this returns, or is cancelled, no process of it is left.

    Args:
        program: What to run.
        walls: How the box is to hold.
        limits: What it may use.
        name: Whose errors are reported.

    Raises:
        ToolError: The box cannot be built on this machine.
    """
    limits = limits or Limits()
    user = user_for(program, walls)
    with home_for(walls, user) as work:
        order = make_order(program, walls, limits, work, user)
        async with _warden() as warden:
            answer = await _ask(warden, order)
    return read_answer(answer, walls, name)


def make_order(program: Program, walls: Walls, limits: Limits, work: str, user: int) -> Order:
    """What the warden is told."""
    if work:
        _furnish(program, work)
    home = work or "/box"
    return Order(
        walls=walls,
        user=user,
        program=program.path,
        argv=list(program.argv),
        environment={"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": work or "/tmp", "LANG": "C.UTF-8"},
        given=dict(program.given),
        readable=[*SYSTEM, *program.readable],
        folder=program.folder,
        writable=program.writable,
        inside=program.inside,
        work=work,
        wall_s=limits.wall_s,
        cpu_s=limits.cpu_s,
        memory_bytes=limits.memory_mb << 20,
        file_bytes=limits.file_mb << 20,
        disk_bytes=limits.disk_mb << 20,
        inodes=limits.files,
        output_bytes=limits.output_kb << 10,
        tasks=limits.processes + 1,  # its first process does nothing but bury the others
        tasks_of_user=limits.processes + 1 + (0 if walls == "namespaces" or user else _tasks_of_this_user()),
    )


def user_for(program: Program, walls: Walls) -> int:
    """Whom a warden that runs as root turns into: the owner of the folder, else somebody who owns nothing.

    0 when it is not root; or when root owns the folder and there are namespaces, in which root is nobody.
    """
    if os.getuid() != 0:
        return 0
    others = strangers()
    if program.folder and ((owner := os.stat(program.folder).st_uid) or walls == "namespaces"):
        return owner if others else 0
    if not others and (walls == "namespaces" or _root_outside() != 0):
        return 0  # it is root in a container only, and the machine takes it for an ordinary user
    # root's processes are counted by nobody, so without namespaces nothing would stop a fork bomb
    if not others:
        raise ToolError("sandbox", "this root may become nobody else; start it as an ordinary user.")
    if walls != "namespaces" and not _open_to_all(program.path):
        raise ToolError("sandbox", f"only root may run {program.path}; install it where every user may, or be another.")
    # a user of its own for each box, so that the kernel counts its processes alone
    return others[int.from_bytes(os.urandom(4), "little") % len(others)]


@cache
def strangers() -> range:
    """Users whom root can turn into and who own nothing; none in a container that has but one user, or few rights."""
    lines = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
    rights = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    if rights & _RIGHTS != _RIGHTS:
        return range(0)
    _, first, _, count = max((count, first, outside, count) for first, outside, count in _users())
    if count > _FAR:
        return range(_FAR, _FAR + (1 << 24))
    return range(first + count // 2, first + count // 2 + (1 << 12)) if count >= 1 << 16 else range(0)


def _root_outside() -> int:
    """Who root is on the machine outside of this container."""
    return next((outside for first, outside, _ in _users() if first == 0), 0)


def _users() -> list[tuple[int, int, int]]:
    """Ranges of users: the first as it is known here, the first as it is outside, and how many."""
    lines = Path("/proc/self/uid_map").read_text("ascii").splitlines()
    return [(int(first), int(outside), int(count)) for first, outside, count in map(str.split, lines)]


def _open_to_all(place: str) -> bool:
    path = Path(place)
    return all(one.stat().st_mode & 0o001 for one in (path, *path.parents))


@contextlib.contextmanager
def home_for(walls: Walls, user: int) -> Generator[str]:
    """A folder for a program whose file system is not its own; it is gone afterwards."""
    if walls == "namespaces":
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="collegium-box-", ignore_cleanup_errors=True) as work:
        if user:
            os.chown(work, user, user)
        yield work


def _furnish(program: Program, work: str) -> None:
    for name, content in program.given.items():
        Path(work, name).write_bytes(content)
    if program.folder:
        Path(work, "files").symlink_to(program.folder)


def _tasks_of_this_user() -> int:
    """Processes and threads that the kernel counts for this user already."""
    count = 0
    with contextlib.suppress(OSError):
        for process in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{process}").st_uid == os.getuid():
                    count += len(os.listdir(f"/proc/{process}/task"))
    return count


@cache
def interpreter() -> str:
    """This Python itself, behind the links of a virtual environment."""
    return os.path.realpath(sys.executable)


def interpreter_places() -> list[str]:
    """What this Python is made of, outside of the system's folders."""
    places = {sys.base_prefix, sys.base_exec_prefix, str(Path(interpreter()).parents[1])}
    return sorted(place for place in places if Path(place) != Path("/usr") and len(Path(place).parts) > 1)


def warden_command() -> list[str]:
    """How a warden is started: an interpreter that reads neither variables, nor site-packages, nor the folder."""
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); from warden.main import main; main()"
    return [interpreter(), "-I", "-S", "-c", code]


@contextlib.asynccontextmanager
async def _warden() -> AsyncGenerator[asyncio.subprocess.Process]:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    warden = await asyncio.create_subprocess_exec(
        *warden_command(), stdin=pipe, stdout=pipe, stderr=nothing, env={}, cwd="/", start_new_session=True
    )
    try:
        yield warden
    finally:
        await asyncio.shield(_dismiss(warden))


async def _dismiss(warden: asyncio.subprocess.Process) -> None:
    """Close the warden's input, at which it ends its box; one that does not end is killed, and its box with it."""
    assert warden.stdin
    warden.stdin.close()
    try:
        async with asyncio.timeout(_GRACE_S):
            await warden.wait()
    except TimeoutError:
        warden.kill()
        await warden.wait()


async def _ask(warden: asyncio.subprocess.Process, order: Order) -> bytes:
    assert warden.stdin and warden.stdout
    with contextlib.suppress(ConnectionError):  # it died: then there is no answer either
        warden.stdin.write(encoded(order))
        await warden.stdin.drain()
    most, limit_s = order["output_bytes"] + 8192, order["wall_s"] + _GRACE_S
    try:
        async with asyncio.timeout(limit_s):
            pieces: list[bytes] = []
            while most > 0 and (piece := await warden.stdout.read(most)):
                pieces.append(piece)
                most -= len(piece)
            return b"".join(pieces)
    except TimeoutError:  # the machine is too busy, or the warden hangs
        return f"failed it gave no answer within {limit_s:g} s".encode()


def encoded(order: Order) -> bytes:
    """An order as the warden reads it."""
    text = marshal.dumps(dict(order))
    return len(text).to_bytes(4, "little") + text


def read_answer(answer: bytes, walls: Walls, name: str) -> Ran:
    """The warden's answer: a line of words, a line of two lengths, output and errors.

    Raises:
        ToolError: There is none, or it says that the box could not be built.
    """
    first, _, rest = answer.partition(b"\n")
    lengths, _, text = rest.partition(b"\n")
    words = first.decode(errors="replace").split(" ")
    if len(words) != 5 or words[0] == "failed":
        problem = " ".join(words[1:]) or "its warden died"
        raise ToolError(name, f"the box ({walls}) could not be built: {problem}.")
    length = int(lengths.split()[0])
    end, exit_code = _ended(words[0], words[1])
    return Ran(
        end=end,
        exit_code=exit_code,
        output=text[:length].decode(errors="replace"),
        errors=text[length:].decode(errors="replace"),
        wall_s=float(words[2]),
        cpu_s=float(words[3]),
        memory_mb=int(words[4]) / (1 << 20),
        walls=walls,
    )


def _ended(by: str, code: str) -> tuple[End, int | None]:
    if by != "itself":
        return _ENDS.get(by) or _limit(by), None
    if code == "-":
        return "killed", None
    exit_code = os.waitstatus_to_exitcode(int(code))
    if exit_code >= 0:
        return "exited", exit_code
    # the limits of a single process are the kernel's: it sends these
    return ("cpu" if -exit_code == signal.SIGXCPU else "killed"), None


def _limit(by: str) -> End:
    for end in ("wall", "cpu", "memory", "processes", "disk", "output"):
        if by == end:
            return end
    return "killed"
