"""One worker: a Runner that takes up whatever the store holds, and starts runs when it is told to."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collegium.core.errors import CollegiumError
from collegium.runs import Runner

from . import marks, workload

Say = Callable[[str], None]

THINKS_S = 0.15


@dataclass(frozen=True, slots=True)
class Setup:
    """What every process of one trial must know."""

    folder: Path
    sink_port: int
    seed: int
    lease_s: float
    thinks_s: float = THINKS_S
    """The person thinks no longer about an answer."""
    moody: bool = True
    """The person now and then edits, rejects or answers by hand; else approves."""

    @property
    def url(self) -> str:
        """The store."""
        return f"sqlite:///{self.folder / 'runs.db'}"


def speaker(news: int) -> Say:
    """Writes lines to the driver; one write each, so that a kill never cuts a line."""
    return lambda line: (os.write(news, f"{line}\n".encode()), None)[1]


def run(setup: Setup, aim: marks.Aim | None, commands: int, news: int) -> None:
    """Be a worker until told to stop, or killed; an aim may lie before it is ready."""
    marks.install()
    marks.arm(aim, speaker(news))
    asyncio.run(_work(setup, commands, speaker(news)))


async def _work(setup: Setup, commands: int, say: Say) -> None:
    lines = await line_reader(commands)
    started: set[asyncio.Task[None]] = set()
    async with Runner(
        setup.url, graphs=[workload.build()], context=setup.sink_port, lease_s=setup.lease_s, poll_s=0.05
    ) as runner:
        say("ready")
        while (line := await lines.readline()) and (words := line.decode().split()) != ["stop"]:
            if words[0] == "arm":
                marks.arm(marks.aim_of(words), say)
            elif words[0] == "count":
                say(f"passed {marks.passed()}")
            else:
                task = asyncio.create_task(_start(runner, words[1], say))
                started.add(task)
                task.add_done_callback(started.discard)


async def _start(runner: Runner, label: str, say: Say) -> None:
    try:
        run = await runner.start(workload.NAME, {"label": label}, metadata={"label": label})
    except CollegiumError as error:
        sys.stderr.write(f"{label} was refused: {error}\n")
        say(f"refused {label}")
    else:
        say(f"accepted {label} {run.run_id}")


async def line_reader(descriptor: int) -> asyncio.StreamReader:
    """Lines that arrive on a pipe."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader


def tell_states(setup: Setup) -> None:
    """Write what every run came to, a line each; opening the store also drops workers that are gone."""
    asyncio.run(_tell_states(setup))


async def _tell_states(setup: Setup) -> None:
    async with Runner(setup.url, graphs=[workload.build()], serve=False, lease_s=setup.lease_s) as runner:
        with (setup.folder / "states.jsonl").open("w", encoding="ascii") as file:
            for known in await runner.runs(limit=100_000):
                run = await runner.get(known.run_id)
                state: workload.Work = run.state
                line = {"label": state.label, "steps": state.steps, "answer": state.answer}
                file.write(f"{json.dumps(line)}\n")
