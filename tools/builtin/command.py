"""Programs of the machine as a tool, without a shell: a name from a list and arguments, in a box."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...core.errors import InvalidTool, ToolError
from ..base import Effect, Risk
from ..function import FunctionTool
from ..sandbox import PROMISES, Limits, Program, Walls, run_boxed, walls_of_at_least

MAX_ARGUMENTS = 256
MAX_ARGUMENTS_BYTES = 100_000
_SHELLS = frozenset("sh ash bash busybox csh dash fish ksh mksh pwsh rbash tcsh toybox zsh".split())


def command(
    programs: Mapping[str, Iterable[str]],
    *,
    folder: str | os.PathLike[str] | None = None,
    writable: bool = False,
    limits: Limits | None = None,
    at_least: Walls = "filters",
    name: str = "run_command",
) -> FunctionTool[..., Any]:
    """A tool that runs programs on a list, each in a box without network and without your environment.

    No shell reads the arguments: `;`, `$(…)`, `*` and line breaks are only characters. An argument that begins with
    `-` must be one of the options that the list allows for its program, so that no operand turns into an option.

    Args:
        programs: Program names and the options that each may be given: `{"grep": ["-n", "-i", "--max-count="], "ls":
            []}`. An option that ends in `=` takes any value.
        folder: Where the programs start, and the only files they see beside the system's; read-only unless `writable`.
        writable: Whether they may change `folder`. The tool is then `unsafe` and of high risk.
        limits: What a call may use.
        at_least: The weakest walls that are good enough; with `limits` the tool is `unsafe` and of high risk.
        name: What the model calls the tool.

    Raises:
        InvalidTool: A program is a shell or is not installed, an option begins with no `-`, or the list is empty.
    """
    allowed = limits or Limits()
    known = {program: _Known(name, program, options) for program, options in programs.items()}
    if not known:
        raise InvalidTool(name, "its list of programs is empty; name those that it may run.")
    if writable and folder is None:
        raise InvalidTool(name, "writable=True needs a folder.")
    acts = writable or at_least == "limits"
    effect: Effect = "unsafe" if acts else "read"
    risk: Risk = "high" if acts else "medium"

    async def run(program: str, arguments: list[str]) -> dict[str, Any]:
        """Run a program.

        Args:
            program: One of the programs.
            arguments: Its arguments, one by one. There is no shell: no pipes, no variables, no patterns.
        """
        if program not in known:
            raise ToolError(name, f"{program[:200]!r} is not on the list of programs: {', '.join(known)}.")
        boxed = known[program].with_arguments(arguments, folder, writable)
        ran = await run_boxed(boxed, walls=await walls_of_at_least(at_least, name), limits=allowed, name=name)
        return {
            "end": ran.end,
            "exit_code": ran.exit_code,
            "output": ran.output,
            "errors": ran.errors,
            "box": ran.walls,
        }

    listed = "; ".join(f"{one} ({' '.join(options) or 'no options'})" for one, options in programs.items())
    where = (
        " They start in a folder that they may change." if writable else " They start in a folder." if folder else ""
    )
    return FunctionTool(
        run,
        name=name,
        description=(
            f"Run one program, without a shell, and return what it prints. "
            f"Programs and their options: {listed}.{where} "
            f"Their box: {PROMISES[at_least]}. At most {allowed.wall_s:g} s."
        ),
        effect=effect,
        risk=risk,
        timeout_s=allowed.wall_s + 30,  # the box keeps its time itself
        origin="tool",
    )


class _Known:
    """A program on the list."""

    def __init__(self, tool: str, program: str, options: Iterable[str]) -> None:
        self.tool, self.program = tool, program
        self.options = (options,) if isinstance(options, str) else tuple(options)
        found = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin") if "/" not in program else program
        if found is None or not os.access(found, os.X_OK) or os.path.isdir(found):
            raise InvalidTool(tool, f"the program {program!r} is not there; give its name or its whole path.")
        # `/bin/sh` may be `dash` and `/usr/bin/awk` `busybox`
        if {Path(program).name, Path(os.path.realpath(found)).name} & _SHELLS:
            raise InvalidTool(tool, f"{program!r} is a shell; name the programs themselves, or use `python()`.")
        if wrong := [option for option in self.options if not option.startswith("-") or option == "-"]:
            raise InvalidTool(tool, f"{wrong[0]!r} is not an option such as '-n' or '--max-count='.")
        self.path = os.path.realpath(found)

    def with_arguments(self, arguments: list[str], folder: str | os.PathLike[str] | None, writable: bool) -> Program:
        """What is run.

        Raises:
            ToolError: An argument is an option that is not on the list, or cannot be an argument; or they are too
                many; or the folder is not there.
        """
        self._demand(arguments)
        if folder is not None and not Path(folder).is_dir():
            raise ToolError(self.tool, f"its folder {str(folder)!r} is not there.")
        return Program(
            path=self.path,
            argv=[self.program, *arguments],
            readable=[str(Path(self.path).parent)],
            folder="" if folder is None else os.path.realpath(folder),
            writable=writable,
            inside=folder is not None,
        )

    def _demand(self, arguments: list[str]) -> None:
        try:
            size = sum(len(one.encode()) + 1 for one in arguments)
        except UnicodeEncodeError as error:
            raise ToolError(self.tool, f"an argument is not text: {error.reason}.") from error
        if len(arguments) > MAX_ARGUMENTS or size > MAX_ARGUMENTS_BYTES:
            raise ToolError(self.tool, f"at most {MAX_ARGUMENTS} arguments of {MAX_ARGUMENTS_BYTES} bytes are allowed.")
        for one in arguments:
            if "\0" in one:
                raise ToolError(self.tool, f"{one[:200]!r} holds a NUL, which no argument can.")
            if one.startswith("-") and not self._is_listed(one):
                options = " ".join(self.options) or "none"
                raise ToolError(
                    self.tool,
                    f"{one[:200]!r} is not an option that {self.program!r} may be given: {options}. "
                    "Write a file that begins with '-' as './-…'.",
                )

    def _is_listed(self, argument: str) -> bool:
        return argument in self.options or any(
            option.endswith("=") and argument.startswith(option) for option in self.options
        )
