"""How strong a box can be on this machine: found out by building one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

from ...core.errors import ToolError
from .box import (
    Program,
    encoded,
    home_for,
    interpreter,
    interpreter_places,
    make_order,
    read_answer,
    user_for,
    warden_command,
)
from .limits import Limits
from .order import Walls

PROMISES: dict[Walls, str] = {
    "namespaces": (
        "no network, no files but its own and the system's programs (read-only), no sight of other processes, "
        "and limits on time, memory, processes, files and output"
    ),
    "filters": (
        "no network, no files but its own and the system's programs (read-only), "
        "and limits on time, memory, processes, files and output; it can tell which other processes there are"
    ),
    "limits": (
        "limits on time, memory, processes and output and nothing else: "
        "it can read files of this machine, open connections and change what its user may change"
    ),
}
_TRIAL_S = 20.0


@dataclass(frozen=True, slots=True)
class Strength:
    """The strongest box that this machine has, and why not a stronger one."""

    walls: Walls
    missing: dict[Walls, str]
    """What failed, for each stronger kind."""

    def __str__(self) -> str:
        failed = "".join(f"; no {kind}: {problem}" for kind, problem in self.missing.items())
        return f"{self.walls}: {PROMISES[self.walls]}{failed}"


@cache
def strength() -> Strength:
    """The strongest box that this machine has; found out once in a process, in about a tenth of a second.

    Raises:
        ToolError: There is no box at all, as the system is not Linux.
    """
    if sys.platform != "linux":
        raise ToolError("sandbox", f"boxes need Linux, and this is {sys.platform}.")
    missing: dict[Walls, str] = {}
    for walls in ("namespaces", "filters"):
        try:
            _try(walls)
        except ToolError as error:
            missing[walls] = error.problem
        else:
            return Strength(walls, missing)
    return Strength("limits", missing)


def _try(walls: Walls) -> None:
    """Build such a box and run nothing in it."""
    program = Program(path=interpreter(), argv=["python", "-I", "-S", "-c", ""], readable=interpreter_places())
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    user = user_for(program, walls)
    with home_for(walls, user) as work:
        order = make_order(program, walls, Limits(wall_s=_TRIAL_S), work, user)
        with subprocess.Popen(warden_command(), stdin=pipe, stdout=pipe, stderr=nothing, env={}, cwd="/") as warden:
            assert warden.stdin and warden.stdout
            warden.stdin.write(encoded(order))
            warden.stdin.flush()
            ran = read_answer(warden.stdout.read(), walls, "sandbox")
    if ran.exit_code != 0:
        raise ToolError("sandbox", f"a box ({walls}) ran nothing: {ran.end}, {ran.errors.strip()[:500]}.")


async def walls_of_at_least(weakest: Walls, name: str) -> Walls:
    """The strongest kind of box that this machine has.

    Args:
        weakest: What is still good enough.
        name: Whose error it is when it is not.

    Raises:
        ToolError: This machine has only a weaker one.
    """
    found = await asyncio.to_thread(strength)
    if list(PROMISES).index(found.walls) > list(PROMISES).index(weakest):
        raise ToolError(
            name,
            f"it wants a box that holds by {weakest!r} or better, and this machine has {found}. "
            "Run it where namespaces or Landlock are allowed; "
            'or give at_least="limits", and a person is asked each time.',
        )
    return found.walls
