"""Programs without a shell: what a shell would make of arguments, options in the place of operands, and variables."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest import mock

from collegium.core.errors import ToolError
from collegium.tools import command
from collegium.tools.sandbox import Limits, Walls

from .boxes import alive
from .world import Outcome, World

LIMITS = Limits(wall_s=2.5, cpu_s=1, memory_mb=256, processes=32, files=2000, disk_mb=32, file_mb=20)
PROGRAMS: dict[str, list[str]] = {
    **{name: [] for name in ("cat", "cp", "echo", "env", "find", "ls", "ln", "rm", "sleep", "touch", "yes")},
    **{"head": ["--lines="], "sort": ["-r"], "tar": ["-c", "-f"]},
}
ARGUMENTS = {
    "semicolon": "; touch {outside}/new.txt",
    "and": "&& touch {outside}/new.txt",
    "or": "|| touch {outside}/new.txt",
    "pipe": "| tee {outside}/new.txt",
    "background": "& touch {outside}/new.txt",
    "backticks": "`touch {outside}/new.txt`",
    "substitution": "$(touch {outside}/new.txt)",
    "process substitution": "<(touch {outside}/new.txt)",
    "newline": "x\ntouch {outside}/new.txt",
    "carriage return": "x\r\ntouch {outside}/new.txt",
    "separator": "x;touch${{IFS}}{outside}/new.txt",
    "output": "> {outside}/new.txt",
    "input": "< {outside}/secret.txt",
    "here string": "<<< $(cat {outside}/secret.txt)",
    "quotes": "'; touch {outside}/new.txt; '",
    "double quotes": '"; touch {outside}/new.txt; "',
    "backslash": "\\; touch {outside}/new.txt",
    "variable": "$COLLEGIUM_TEST_SECRET",
    "pattern": "{outside}/*",
    "braces": "{{{outside}/secret.txt,x}}",
    "home": "~root",
    "connection": "/dev/tcp/127.0.0.1/{port}",
    "secret": "{outside}/secret.txt",
    "many parents": "../../../../../../../../../../../..{outside}/secret.txt",
    "root of process 1": "/proc/1/root{outside}/secret.txt",
}
OPTIONS = {
    "find": ["-exec", "-delete", "-fprint", "-ok"],
    "sort": ["-o", "--output={outside}/new.txt", "-o{outside}/new.txt", "--compress-program=sh", "--files0-from=x"],
    "tar": ["--checkpoint-action=exec=sh", "--to-command=sh", "-I", "-cf", "--use-compress-program=sh", "-C/"],
    "cat": ["-oProxyCommand=touch {outside}/new.txt", "--upload-pack=sh", "-c", "--", "-", "-\n"],
    "env": ["-S", "-i", "--split-string=sh"],
    "head": ["--lines", "-n", "--line=1"],
}
NAMES = ("sh", "/bin/sh", "../bin/sh", "./cat", "/bin/cat", "cat;id", "cat id", "CAT", "cat\0", "", "cat\n", "tool")
VARIABLES = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "GIT_SSH_COMMAND", "BASH_ENV", "ENV", "IFS", "PS4")
ALLOWED_VARIABLES = {"PATH", "HOME", "TMPDIR", "LANG"}


async def cases(world: World, walls: Walls, *, at_once: bool = False) -> AsyncIterator[Outcome]:
    """Every case, in boxes of one kind; with `at_once` all arguments in one call."""
    _furnish(world)

    async def these(at_least: Walls, name: str) -> Walls:
        return walls

    variables = dict.fromkeys(VARIABLES, f"{world.outside}/nothing") | {"COLLEGIUM_TEST_SECRET": world.token}
    with (
        mock.patch("collegium.tools.builtin.command.walls_of_at_least", these),
        mock.patch.dict(os.environ, variables),
    ):
        run = _tool(world)
        yield await _honest(world, walls, run)
        given = {"arguments": list(ARGUMENTS)} if at_once else {name: [name] for name in ARGUMENTS}
        for name, arguments in given.items():
            yield await _arguments(world, walls, run, name, arguments)
        yield await _options(world, walls, run)
        yield await _names(world, walls, run)
        yield await _variables(world, walls, run)
        yield await _changes(world, walls, run)
        yield await _ends(world, walls, run)


def _tool(world: World) -> Callable[[str, list[str]], Awaitable[dict[str, Any]]]:
    there = {name: options for name, options in PROGRAMS.items() if shutil.which(name)}
    return command(there, folder=world.folder, limits=LIMITS).fn


def _furnish(world: World) -> None:
    """Programs of one's own in the folder, where a search for the real ones must not find them."""
    (world.folder / "mine.txt").write_text("mine\n", "utf-8")
    for name in ("cat", "ls", "tool"):
        (world.folder / name).write_text("#!/bin/sh\necho ESCAPED\n", "utf-8")
        (world.folder / name).chmod(0o755)
    (world.folder / "way").symlink_to(world.outside)


async def _attempt(outcome: Outcome, call: Awaitable[dict[str, Any]]) -> dict[str, Any] | Exception:
    try:
        return await call
    except ToolError as refusal:
        return refusal
    except Exception as error:  # what is looked for: an error that is not typed
        outcome.wrong.append(f"raised {type(error).__name__}: {error}")
        return error


async def _honest(world: World, walls: Walls, run: Any) -> Outcome:
    """What is allowed works, or the other figures would show nothing."""
    outcome = Outcome(f"command, {walls}", "what is allowed")
    said = await _attempt(outcome, run("sort", ["-r", "mine.txt"]))
    echoed = await _attempt(outcome, run("echo", ["$(id)", "*", ";"]))
    if "mine" not in str(said) or "'$(id) * ;\\n'" not in str(echoed):
        outcome.wrong.append(f"{said}, {echoed}")
    return outcome


async def _arguments(world: World, walls: Walls, run: Any, name: str, arguments: list[str]) -> Outcome:
    world.begin()
    outcome = Outcome(f"command, {walls}", name)
    given = [ARGUMENTS[one].format(outside=world.outside, port=world.port) for one in arguments]
    for program in ("cat", "ls"):
        said = await _attempt(outcome, run(program, given))
        outcome.wrong += world.touched(said)
        outcome.note = str(said)
    return outcome


def unguarded(world: World) -> Outcome:
    """A shell makes of many of these what they are after; else the other figures would show nothing."""
    outcome = Outcome("control", "arguments that a shell obeys")
    reached = 0
    for argument in ARGUMENTS.values():
        world.begin()
        line = "cat " + argument.format(outside=world.outside, port=world.port)
        environment = {**os.environ, "COLLEGIUM_TEST_SECRET": world.token}
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, check=False)
        reached += bool(world.touched(done.stdout, done.stderr))
        (world.outside / "new.txt").unlink(missing_ok=True)
    outcome.note = f"{reached} of {len(ARGUMENTS)}"
    if reached < 10:
        outcome.wrong.append(f"only {reached}")
    return outcome


async def _options(world: World, walls: Walls, run: Any) -> Outcome:
    """Options that are not on the list are refused before anything runs, also behind `--`."""
    world.begin()
    outcome = Outcome(f"command, {walls}", "options")
    tried = 0
    for program, options in OPTIONS.items():
        for option in options:
            option = option.format(outside=world.outside)
            for arguments in ([option], ["mine.txt", option, "x"], ["--", option]):
                tried += 1
                said = await _attempt(outcome, run(program, arguments))
                if not isinstance(said, ToolError):
                    outcome.wrong.append(f"{program} {arguments}: {said}")
    outcome.wrong += world.touched()
    outcome.note = f"{tried} refused"
    return outcome


async def _names(world: World, walls: Walls, run: Any) -> Outcome:
    world.begin()
    outcome = Outcome(f"command, {walls}", "programs that are not on the list")
    for name in NAMES:
        said = await _attempt(outcome, run(name, []))
        if not isinstance(said, ToolError):
            outcome.wrong.append(f"{name!r}: {said}")
    for arguments in (["a\0b"], ["\ud800"], ["x"] * 300, ["x" * 200_000]):
        said = await _attempt(outcome, run("cat", arguments))
        if not isinstance(said, ToolError):
            outcome.wrong.append(f"{str(arguments)[:50]}: {said}")
    said = await _attempt(outcome, run("cat", ["mine.txt"]))
    if "ESCAPED" in str(said) or "mine" not in str(said):
        outcome.wrong.append(f"a program of the folder was run: {said}")
    outcome.wrong += world.touched()
    return outcome


async def _variables(world: World, walls: Walls, run: Any) -> Outcome:
    """The variables of the program are a list, compared as a whole."""
    world.begin()
    outcome = Outcome(f"command, {walls}", "variables")
    said = await _attempt(outcome, run("env", []))
    output = said["output"] if isinstance(said, dict) else ""
    found = {line.partition("=")[0] for line in str(output).splitlines()}
    if found != ALLOWED_VARIABLES:
        outcome.wrong.append(f"{said}")
    outcome.wrong += world.touched(said)
    outcome.note = " ".join(sorted(found))
    return outcome


async def _changes(world: World, walls: Walls, run: Any) -> Outcome:
    """A folder that is not to be changed is not, and nothing outside of it is."""
    world.begin()
    outcome = Outcome(f"command, {walls}", "changes")
    before = sorted(os.listdir(world.folder))
    for program, arguments in {
        "touch": ["new.txt", "way/new.txt", f"{world.outside}/new.txt"],
        "cp": ["mine.txt", "way/secret.txt"],
        "rm": ["mine.txt", "way/secret.txt"],
        "ln": [f"{world.outside}/secret.txt", "hard.txt"],
        "tar": ["-c", "-f", "new.tar", "mine.txt"],
    }.items():
        said = await _attempt(outcome, run(program, arguments))
        if isinstance(said, dict) and said["exit_code"] == 0:
            outcome.wrong.append(f"{program}: {said}")
        outcome.note = str(said)
    if sorted(os.listdir(world.folder)) != before:
        outcome.wrong.append("the folder was changed")
    outcome.wrong += world.touched()
    return outcome


async def _ends(world: World, walls: Walls, run: Any) -> Outcome:
    """Programs that do not end by themselves."""
    outcome = Outcome(f"command, {walls}", "programs without an end")
    before = alive()
    for program, argument, end in (("sleep", "60", "wall"), ("yes", "x" * 100, "output")):
        said = await _attempt(outcome, run(program, [argument]))
        if not (isinstance(said, dict) and said["end"] == end):
            outcome.wrong.append(f"{program}: {str(said)[:200]}")
    outcome.wrong += [f"alive afterwards: {one}" for one in alive() if one not in before]
    return outcome
