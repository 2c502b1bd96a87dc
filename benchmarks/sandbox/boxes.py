"""The programs of `programs.py` in boxes: what they reach, how they end, and whether anything of them lives on."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from pathlib import Path

from collegium.core.errors import ToolError
from collegium.tools.sandbox import Limits, Program, Ran, Walls, run_boxed
from collegium.tools.sandbox.box import interpreter, interpreter_places, user_for

from .programs import ESCAPES, HEAD, USES
from .world import Outcome, World

QUICK = Limits(wall_s=2.5, cpu_s=1, memory_mb=256, processes=32, files=2000, disk_mb=32, file_mb=20)
GROWTH_MB = 50
AFTERWARDS_S = 1.0


def python_for(walls: Walls) -> str:
    """An interpreter that a box of this kind may run: where root becomes somebody else, root's own will not do."""
    for place in (interpreter(), "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(ToolError, FileNotFoundError):
            user_for(Program(path=os.path.realpath(place, strict=True), argv=[]), walls)
            return os.path.realpath(place)
    return ""


async def boxed(code: str, walls: Walls, limits: Limits) -> Ran:
    """Run code in a box."""
    argv = ["python", "-I", "-S", "-B", "program.py"]
    program = Program(
        path=python_for(walls), argv=argv, given={"program.py": code.encode()}, readable=interpreter_places()
    )
    return await run_boxed(program, walls=walls, limits=limits)


def adopt_orphans() -> None:
    """Let whatever a box leaves behind become a child of this process, where it is seen."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def alive() -> list[str]:
    """Every process below this one, by name."""
    found: list[str] = []
    waiting = [os.getpid()]
    while waiting:
        here = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{here}/task"):
                children = Path(f"/proc/{here}/task/{task}/children").read_text("ascii").split()
                waiting += map(int, children)
                found += [f"{child} {_name(child)}" for child in children]
    return found


def _name(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text("utf-8", "replace").replace("\0", " ")[:300] or "zombie"
    except OSError:
        return "gone"


async def escapes(world: World, walls: Walls, names: Iterable[str] = ESCAPES) -> AsyncIterator[Outcome]:
    """Every program that tries to leave, or those that are named."""
    os.environ["COLLEGIUM_TEST_SECRET"] = world.token
    head = HEAD.format(outside=str(world.outside), port=world.port, host=os.getpid())
    with _unix_sockets(world), (world.outside / "secret.txt").open("rb") as held:
        os.set_inheritable(held.fileno(), True)
        for name in names:
            world.begin()
            outcome = Outcome(f"code, {walls}", name)
            ran = await boxed(head + ESCAPES[name], walls, QUICK)
            outcome.wrong += world.touched(ran.output, ran.errors)
            if "ESCAPED" in ran.output:
                outcome.wrong.append(ran.output)
            outcome.note = f"{ran.end} {ran.exit_code}: {(ran.output + ran.errors).strip()[-160:]}"
            yield outcome
    del os.environ["COLLEGIUM_TEST_SECRET"]


UNBOXED = ("read a file", "frame walk", "ctypes", "environment", "connect", "Unix socket", "abstract Unix socket")
"""Escapes that do no harm where nothing holds them."""


def unboxed(world: World) -> Outcome:
    """The same programs without a box reach what they are after; else the other figures would show nothing."""
    outcome = Outcome("control", f"{len(UNBOXED)} escapes without a box")
    head = HEAD.format(outside=str(world.outside), port=world.port, host=os.getpid())
    environment = {**os.environ, "COLLEGIUM_TEST_SECRET": world.token}
    with _unix_sockets(world):
        for name in UNBOXED:
            world.begin()
            command = [interpreter(), "-I", "-S", "-c", head + ESCAPES[name]]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            deadline = time.monotonic() + 5
            while not (touched := world.touched(done.stdout)) and time.monotonic() < deadline:
                time.sleep(0.01)
            if not touched:
                outcome.wrong.append(f"{name!r} reached nothing: {done.stdout} {done.stderr}")
    outcome.note = "all of them reached the canary or a listener"
    return outcome


@contextlib.contextmanager
def _unix_sockets(world: World) -> Generator[None]:
    """Listeners by path and by abstract name, heard like the one on the loopback."""
    made: list[tuple[socket.socket, threading.Thread]] = []
    for name in (str(world.outside / "socket"), f"\0collegium-{world.port}"):
        server = socket.socket(socket.AF_UNIX)
        server.bind(name)
        server.listen()
        made.append((server, threading.Thread(target=_hear, args=(server, world.heard), daemon=True)))
        made[-1][1].start()
    (world.outside / "socket").chmod(0o777)
    try:
        yield
    finally:
        for server, ear in made:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            ear.join()  # its `accept` holds the name
            server.close()
        (world.outside / "socket").unlink()


def _hear(server: socket.socket, heard: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()
            heard.append("a Unix connection")


async def uses(
    walls: Walls, limits: Limits, names: Iterable[str] = USES, late_s: float = AFTERWARDS_S
) -> AsyncIterator[Outcome]:
    """Every program that tries to use up the machine, or those that are named."""
    adopt_orphans()
    for name in names:
        code = USES[name]
        before = alive()
        memory_mb = _peak_mb()
        outcome = Outcome(f"use, {walls}", name)
        ran = await boxed(code, walls, limits)
        outcome.wrong += [f"alive afterwards: {one}" for one in alive() if one not in before]
        if (grown := _peak_mb() - memory_mb) > GROWTH_MB:
            outcome.wrong.append(f"this process grew by {grown:.0f} MB")
        if ran.wall_s > limits.wall_s + late_s:
            outcome.wrong.append(f"ended {ran.wall_s - limits.wall_s:.2f} s after its limit")
        if len(ran.output.encode()) + len(ran.errors.encode()) > (limits.output_kb << 10) * 3:
            outcome.wrong.append("printed more than it may")  # times 3: a byte that is no UTF-8 is shown by three
        ended = ran.end if ran.exit_code is None else f"{ran.end} {ran.exit_code}"
        outcome.note = (
            f"{ended} after {ran.wall_s:.1f} s, {ran.cpu_s:.1f} s of CPU, {ran.memory_mb:.0f} MB, grew {grown:.0f} MB"
        )
        yield outcome


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


SLEEPER = "import os, time\nfor _ in range(3): os.fork()\nprint('up', flush=True)\ntime.sleep(60)"
HOST = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from benchmarks.sandbox.boxes import SLEEPER, QUICK, boxed
print("host", flush=True)
asyncio.run(boxed(SLEEPER, sys.argv[2], QUICK))
"""


async def deaths(walls: Walls) -> AsyncIterator[Outcome]:
    """The one who waits is cancelled or killed, or the warden is killed."""
    adopt_orphans()
    yield await _cancelled(walls)
    yield await _host_killed(walls)
    if walls == "namespaces":  # elsewhere nothing can promise that
        yield await _warden_killed(walls)


async def _cancelled(walls: Walls) -> Outcome:
    before = alive()
    outcome = Outcome(f"death, {walls}", "the call is cancelled")
    task = asyncio.create_task(boxed(SLEEPER, walls, QUICK))
    await _until(lambda: len(alive()) >= len(before) + 8)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    outcome.wrong += [f"alive afterwards: {one}" for one in alive() if one not in before]
    return outcome


async def _host_killed(walls: Walls) -> Outcome:
    before = alive()
    outcome = Outcome(f"death, {walls}", "the process of the caller is killed")
    root = str(Path(__file__).parents[2])
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, root, walls, stdout=asyncio.subprocess.PIPE, cwd=root
    )
    assert host.stdout
    await host.stdout.readline()
    await _until(lambda: len(alive()) >= len(before) + 9)
    host.kill()
    await host.wait()
    outcome.wrong += await _gone(before)
    return outcome


async def _warden_killed(walls: Walls) -> Outcome:
    before = alive()
    outcome = Outcome(f"death, {walls}", "the warden is killed")
    task = asyncio.create_task(boxed(SLEEPER, walls, QUICK))
    await _until(lambda: len(alive()) >= len(before) + 8)
    warden = next(one for one in alive() if "warden.main" in one and one not in before)
    os.kill(int(warden.split()[0]), 9)
    try:
        await task
        outcome.wrong.append("no error was raised")
    except ToolError as error:
        outcome.note = str(error)
    outcome.wrong += await _gone(before)
    return outcome


async def _until(true: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not true():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError("the scene was not set within 20 s")
        await asyncio.sleep(0.02)


async def _gone(before: list[str]) -> list[str]:
    """What is still alive when a second has passed."""
    deadline = asyncio.get_running_loop().time() + AFTERWARDS_S
    while True:
        _bury()
        left = [one for one in alive() if one not in before]
        if not left or asyncio.get_running_loop().time() > deadline:
            return [f"alive 1 s afterwards: {one}" for one in left]
        await asyncio.sleep(0.02)


def _bury() -> None:
    """Wait for orphans that came to this process, as init would."""
    for one in alive():
        process, _, name = one.partition(" ")
        if name == "zombie":
            with contextlib.suppress(ChildProcessError):
                os.waitpid(int(process), os.WNOHANG)
