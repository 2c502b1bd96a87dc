"""Python code as a tool, in a box."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ...core.errors import ToolError
from ..base import Effect, Risk
from ..function import FunctionTool
from ..sandbox import PROMISES, Limits, Program, Walls, run_boxed, walls_of_at_least
from ..sandbox.box import interpreter, interpreter_places

MAX_CODE_BYTES = 200_000
_RUN = (
    "import builtins, sys; builtins.exit = builtins.quit = sys.exit; sys.argv = ['program.py']; "
    "sys.excepthook = lambda kind, error, trace: "
    "__import__('traceback').print_exception(kind, error, trace and trace.tb_next); "
    "exec(compile(open('program.py', 'rb').read(), 'program.py', 'exec'))"
)
"""`python program.py` but for the order of looking for modules: nothing is imported from where the program lies."""


def python(
    *,
    folder: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    at_least: Walls = "filters",
    name: str = "python",
) -> FunctionTool[..., Any]:
    """A tool that runs Python code in a box: a process of its own without network, files and secrets.

    Behind walls the code changes nothing in the world, so the tool is `read` and of medium risk. With
    `at_least="limits"` it also runs where only amounts are limited, and is `unsafe` and of high risk: a person is
    asked about each call. `collegium.tools.sandbox.strength()` tells what this machine has.

    Args:
        folder: What the code sees, read-only, as `files`.
        limits: What it may use.
        at_least: The weakest walls that are good enough; where there are only weaker ones, each call is refused.
        name: What the model calls the tool.
    """
    allowed = limits or Limits()
    effect: Effect = "unsafe" if at_least == "limits" else "read"
    risk: Risk = "high" if at_least == "limits" else "medium"

    async def run(code: str) -> dict[str, Any]:
        """Run a Python program.

        Args:
            code: The whole program. Print what you want to know; nothing is kept for the next call.
        """
        program = _program(name, code, folder)
        walls = await walls_of_at_least(at_least, name)
        ran = await run_boxed(program, walls=walls, limits=allowed, name=name)
        return {
            "end": ran.end,
            "exit_code": ran.exit_code,
            "output": ran.output,
            "errors": ran.errors,
            "box": ran.walls,
        }

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shown = " The folder `files` holds files that it can read." if folder else ""
    return FunctionTool(
        run,
        name=name,
        description=(
            f"Run a Python {version} program with the standard library and return what it prints.{shown} "
            f"Its box: {PROMISES[at_least]}. At most {allowed.wall_s:g} s, {allowed.memory_mb} MB "
            f"and {allowed.output_kb} kB of output."
        ),
        effect=effect,
        risk=risk,
        timeout_s=allowed.wall_s + 30,  # the box keeps its time itself
        origin="tool",
    )


def _program(name: str, code: str, folder: str | os.PathLike[str] | None) -> Program:
    try:
        text = code.encode()
    except UnicodeEncodeError as error:
        raise ToolError(name, f"the code is not text: {error.reason} at {error.start}.") from error
    if len(text) > MAX_CODE_BYTES:
        raise ToolError(name, f"the code has {len(text)} bytes; at most {MAX_CODE_BYTES} are allowed.")
    if folder is not None and not Path(folder).is_dir():
        raise ToolError(name, f"its folder {str(folder)!r} is not there.")
    return Program(
        path=interpreter(),
        argv=["python", "-I", "-S", "-B", "-X", "utf8", "-c", _RUN],
        given={"program.py": text},
        readable=interpreter_places(),
        folder="" if folder is None else os.path.realpath(folder),
    )
