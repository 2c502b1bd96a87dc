"""Ways out of a folder: names, links, hard links, devices, mount points, and a link that is swapped in a race."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collegium.core.errors import ToolError
from collegium.tools import IdempotencyKey, workspace

from .world import Outcome, World

GROUP = "paths"
SECRET = "outside/secret.txt"
NAMES = {
    "parent": f"../{SECRET}",
    "parent in the middle": f"a/../../{SECRET}",
    "absolute": "{outside}/secret.txt",
    "home": f"~/{SECRET}",
    "percent": f"%2e%2e/{SECRET}",
    "percent twice": f"%252e%252e%252f{SECRET}",
    "backslash": "..\\outside\\secret.txt",
    "NUL": f"a\0/../../{SECRET}",
    "NUL at the end": "a.txt\0.png",
    "trailing dots": f".../{SECRET}",
    "dots and blanks": f".. /{SECRET}",
    "full-width dots": f"\uff0e\uff0e/{SECRET}",
    "one-dot leader": f"\u2024\u2024/{SECRET}",
    "overlong name": "x" * 5000,
    "overlong path": "x/" * 2500 + "y",
    "half a surrogate": "\udcff\ud800",
    "empty": "",
    "dot": ".",
    "file URL": "file://{outside}/secret.txt",
    "drive": f"C:/{SECRET}",
    "proc root": "/proc/self/root{outside}/secret.txt",
    "proc fd": "/proc/self/fd/0",
    "standard input": "/dev/stdin",
    "device": "/dev/zero",
    "link to the file": "link.txt",
    "link to the folder": "link/secret.txt",
    "link in the middle": "inner/link/secret.txt",
    "link to proc": "proc/self/environ",
    "link by proc root": "root{outside}/secret.txt",
    "relative link": "relative/secret.txt",
    "FIFO": "fifo",
    "socket": "socket",
    "case folding": "LINK.TXT",
    "folder as a file": "inner",
    "file as a folder": "plain.txt/x",
}


def cases(world: World, tries: int) -> Iterator[Outcome]:
    """Every name with every tool, then what needs a scene of its own."""
    _furnish(world)
    tools = {tool.name: tool.fn for tool in workspace(world.folder)}
    for name, path in NAMES.items():
        yield _names(world, tools, name, path.replace("{outside}", str(world.outside)))
    yield _hard_link(world, tools)
    yield _listing(world, tools)
    yield _mount_point(world)
    yield _race(world, tools, tries)
    yield _race_of_folders(world, tools, tries)


def _furnish(world: World) -> None:
    home = world.folder
    (home / "inner").mkdir()
    (home / "plain.txt").write_text("plain", "utf-8")
    (home / "link.txt").symlink_to(world.outside / "secret.txt")
    (home / "link").symlink_to(world.outside)
    (home / "inner/link").symlink_to(world.outside)
    (home / "relative").symlink_to("../outside")
    (home / "proc").symlink_to("/proc")
    (home / "root").symlink_to("/proc/self/root")
    os.mkfifo(home / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(home, os.O_RDONLY)
        made.bind(f"/proc/self/fd/{here}/socket" if os.path.isdir("/proc/self/fd") else str(home / "socket"))
        os.close(here)


def _names(world: World, tools: dict[str, Any], name: str, path: str) -> Outcome:
    world.begin()
    outcome = Outcome(GROUP, name)
    said = [
        _attempt(outcome, lambda: tools["read_file"](path), must_fail=True),
        # a name such as `~` or `%2e%2e` is only a name: writing it is allowed, and must stay inside
        _attempt(outcome, lambda: tools["write_file"](path, "overwritten", IdempotencyKey("k")), must_fail=False),
        _attempt(outcome, lambda: tools["list_files"](path), must_fail=False),
    ]
    outcome.wrong += world.touched(*said)
    outcome.note = str(said[0])[:120]
    return outcome


def _attempt(outcome: Outcome, call: Callable[[], object], *, must_fail: bool) -> object:
    """What it returned, or the refusal; anything but a `ToolError` is wrong."""
    try:
        returned = call()
    except ToolError as refusal:
        return refusal
    except Exception as error:  # what is looked for: an error that is not typed
        outcome.wrong.append(f"raised {type(error).__name__}: {error}")
        return error
    if must_fail:
        outcome.wrong.append(f"was not refused: {returned!r}"[:200])
    return returned


def _hard_link(world: World, tools: dict[str, Any]) -> Outcome:
    world.begin()
    outcome = Outcome(GROUP, "hard link")
    os.link(world.outside / "secret.txt", world.folder / "hard.txt")
    said = _attempt(outcome, lambda: tools["read_file"]("hard.txt"), must_fail=True)
    tools["write_file"]("hard.txt", "mine", IdempotencyKey("k"))
    outcome.wrong += world.touched(said)
    return outcome


def _listing(world: World, tools: dict[str, Any]) -> Outcome:
    outcome = Outcome(GROUP, "listing")
    listed = tools["list_files"]()
    outcome.wrong += [f"lists {name}" for name in listed if "secret" in name and (world.folder / name).is_symlink()]
    outcome.wrong += world.touched(listed)
    outcome.note = f"{len(listed)} files"
    return outcome


def _race(world: World, tools: dict[str, Any], tries: int) -> Outcome:
    """A file that is a link to the canary every other moment."""
    first, second = world.folder / "swap.txt", world.folder / "other.txt"

    def furnish() -> None:
        for path in (first, second):
            path.unlink(missing_ok=True)
        first.write_text("honest", "utf-8")
        second.symlink_to(world.outside / "secret.txt")

    def write() -> object:
        try:
            return tools["write_file"]("swap.txt", "honest", IdempotencyKey("k"))
        finally:
            furnish()  # the new file may have taken the place of the link

    furnish()
    calls: list[Callable[[], object]] = [lambda: tools["read_file"]("swap.txt")] * 19
    return raced(world, GROUP, "a file swapped with a link", ("swap.txt", "other.txt"), [*calls, write], tries)


def _race_of_folders(world: World, tools: dict[str, Any], tries: int) -> Outcome:
    """A folder on the way that is a link to the outside every other moment."""
    (world.folder / "way").mkdir()
    (world.folder / "way/secret.txt").write_text("honest", "utf-8")
    (world.folder / "aside").symlink_to(world.outside)
    calls: list[Callable[[], object]] = [lambda: tools["read_file"]("way/secret.txt")] * 18
    calls.append(lambda: tools["list_files"]("way"))
    calls.append(lambda: tools["write_file"]("way/new.txt", "x", IdempotencyKey("k")))
    return raced(world, GROUP, "a folder swapped with a link", ("way", "aside"), calls, tries)


SWAPPER = """
import ctypes, os, select, sys
exchange = ctypes.CDLL(None, use_errno=True).renameat2
first, second = (os.fsencode(name) for name in sys.argv[1:])
print("swapping", flush=True)
while not select.select([0], [], [], 0)[0]:
    for _ in range(50):
        exchange(-100, first, -100, second, 2)
"""
"""Exchanges two names for as long as its input is open; in a process of its own, so that nothing is in step."""


def raced(
    world: World, group: str, name: str, swapped: tuple[str, str], calls: list[Callable[[], object]], tries: int
) -> Outcome:
    """Make calls in turn while another process exchanges two names without a pause."""
    world.begin()
    outcome = Outcome(group, f"{name}, {tries} tries")
    command = [sys.executable, "-I", "-S", "-c", SWAPPER, *(str(world.folder / one) for one in swapped)]
    honest = fooled = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdin and swapper.stdout
        swapper.stdout.readline()
        for turn in range(tries):
            said = _attempt(outcome, calls[turn % len(calls)], must_fail=False)
            honest += not isinstance(said, ToolError)
            fooled += _plainly(world.folder / swapped[0]) == world.token
            if world.token in str(said):
                outcome.wrong.append("the canary was read")
        swapper.stdin.close()
    outcome.wrong += world.touched()
    outcome.note = f"{honest} calls met the honest one; a plain open read the canary {fooled} times"
    if not fooled and tries >= 1000:  # a short race may be over before the other process had its turn
        outcome.wrong.append("the canary was never there to be read: there was no race")
    return outcome


def _plainly(path: Path) -> str:
    """What a tool without protection would read."""
    try:
        return (path / "secret.txt" if path.is_dir() else path).read_text("utf-8")
    except OSError:
        return ""


MOUNTED = """
import subprocess, sys
from collegium.core.errors import ToolError
from collegium.tools import IdempotencyKey, workspace
home, outside = sys.argv[1:]
subprocess.run(["mount", "--bind", outside, home + "/mounted"], check=True)
print("mounted", flush=True)
tools = {tool.name: tool.fn for tool in workspace(home)}
for call in (
    lambda: tools["read_file"]("mounted/secret.txt"),
    lambda: tools["list_files"]("mounted"),
    lambda: tools["write_file"]("mounted/new.txt", "x", IdempotencyKey("k")),
):
    try:
        print("RETURNED", call())
    except ToolError as refusal:
        print(refusal)
"""


def _mount_point(world: World) -> Outcome:
    """The outside mounted on a folder of the workspace, in a mount namespace of its own."""
    world.begin()
    outcome = Outcome(GROUP, "mount point")
    (world.folder / "mounted").mkdir()
    program = shutil.which("unshare")
    command = [program or "", "--user", "--map-root-user", "--mount", sys.executable, "-c", MOUNTED]
    if program is None:
        outcome.note = "not tried: this system has no `unshare`"
        return outcome
    done = subprocess.run(
        [*command, str(world.folder), str(world.outside)], capture_output=True, text=True, check=False
    )
    if not done.stdout.startswith("mounted"):
        outcome.note = "not tried: nothing can be mounted here"
        return outcome
    outcome.wrong += world.touched(done.stdout)
    if done.returncode or "RETURNED" in done.stdout:
        outcome.wrong.append(done.stdout + done.stderr)
    outcome.note = done.stdout.splitlines()[1]
    return outcome
