"""How the library behaves inside a program: with its event loop, its threads, its signals and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import pytest

from collegium.core.errors import StoreUnavailable
from collegium.graphs import END, START, Graph, State, append
from collegium.runs import Run, Runner, ask, call_key, question

ROOT = Path(__file__).parents[2]


class Work(State):
    label: str
    log: Annotated[list[str], append] = []


def build(asks: bool = False) -> Graph[Work]:
    graph = Graph(Work, name="work")

    async def first(label: str) -> str:
        await asyncio.sleep(0)
        return f"{label} first"

    def second(label: str) -> str:  # a sync node works in a thread
        return f"{label} second"

    async def wonder(label: str) -> str:
        ask([question(call_key(0, 0), "input", {"prompt": label}, ("respond",))])
        return f"{label} asked"

    graph.add_node("first", first, writes="log")
    graph.add_node("second", wonder if asks else second, writes="log")
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", END)
    return graph


def logged(label: str) -> list[str]:
    return [f"{label} first", f"{label} second"]


# -- nothing is left --------------------------------------------------------------------------


def descriptors() -> set[str]:
    """What this process has open, by what it is."""
    found: set[str] = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return {one for one in found if one.startswith("/") and "/dev/" not in one}


def threads() -> set[str]:
    """Threads that Collegium started and that live."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("collegium")}


@contextlib.contextmanager
def leaving_nothing() -> Generator[None]:
    """Fails when a thread, a file or a warning is left behind."""
    before = descriptors()
    yield
    gc.collect()  # an exception in a finaliser or a coroutine that was never awaited is a warning, so an error
    assert threads() == set()
    assert descriptors() - before == set()


async def after_ticks(number: int, task: asyncio.Task[Any]) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
    task.cancel()


@pytest.mark.parametrize("ticks", [*range(12), *range(12, 120, 9)])
@pytest.mark.parametrize("threads_too", [False, True])
def test_a_program_that_is_cancelled_anywhere_leaves_nothing_and_loses_nothing(
    tmp_path: Path, ticks: int, threads_too: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    async def program() -> None:
        async with Runner(url, graphs=[build()], poll_s=0.001) as runner:
            run = await runner.start("work", {"label": "a"})
            await run.wait()

    async def cancelled() -> None:
        task = asyncio.create_task(program())
        pauses = ticks if not threads_too else ticks * 20  # so many that the store's threads have answered
        await after_ticks(pauses, task)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert {one.get_name() for one in asyncio.all_tasks()} - {asyncio.current_task().get_name()} == set()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]

    with leaving_nothing():
        asyncio.run(cancelled())
        assert asyncio.run(ends(url)) <= {"done"}


async def ends(url: str) -> set[str]:
    """How the runs of the store end, once a Runner has taken them up."""
    async with Runner(url, graphs=[build()], poll_s=0.01) as runner:
        return {(await runner.wait(run.run_id, timeout_s=30)).status for run in await runner.runs()}


def test_a_program_that_is_cancelled_while_it_closes_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    async def closing(ticks: int) -> None:
        runner = Runner(url, graphs=[build()], poll_s=0.001)
        await runner.open()
        await runner.start("work", {"label": "a"})
        task = asyncio.create_task(runner.close())
        await after_ticks(ticks, task)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await runner.close()

    with leaving_nothing():
        for ticks in range(0, 30, 2):
            asyncio.run(closing(ticks))
        assert asyncio.run(ends(url)) == {"done"}


async def test_a_runner_may_be_closed_twice_and_opened_again(tmp_path: Path) -> None:
    runner = Runner(f"sqlite:///{tmp_path / 'runs.db'}", graphs=[build()])
    with leaving_nothing():
        await runner.close()
        for _ in range(2):
            await runner.open()
            assert (await (await runner.start("work", {"label": "a"})).wait()).status == "done"
            await runner.close()
            await runner.close()


USES: list[Callable[[Runner], Any]] = [
    lambda runner: runner.start("work", {"label": "b"}),
    lambda runner: runner.get("run-1"),
    lambda runner: runner.wait("run-1"),
    lambda runner: runner.runs(),
    lambda runner: runner.inbox(),
    lambda runner: runner.resume("run-1"),
    lambda runner: runner.cancel("run-1"),
]


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("where", ["file", "memory"])
async def test_a_runner_that_is_not_open_says_so(tmp_path: Path, opened: bool, where: str) -> None:
    runner = Runner(f"sqlite:///{tmp_path / 'runs.db'}" if where == "file" else "sqlite://:memory:", graphs=[build()])
    if opened:
        await runner.open()
        await runner.close()

    for use in USES:
        with pytest.raises(StoreUnavailable, match="not open"):
            await use(runner)


def test_a_graph_that_is_dropped_takes_its_store_along() -> None:
    def use() -> weakref.ref[Graph[Work]]:
        graph = build()
        assert graph.run_sync({"label": "a"}).state.log == logged("a")
        return weakref.ref(graph)

    with leaving_nothing():
        dropped = use()
        gc.collect()
        assert dropped() is None


# -- loops and threads ------------------------------------------------------------------------


async def test_a_graph_runs_inside_a_loop_that_runs_already() -> None:
    runs = await asyncio.gather(*(build().run({"label": name}) for name in "abc"))
    assert [run.state.log for run in runs] == [logged(name) for name in "abc"]


async def test_run_sync_inside_a_loop_says_what_to_call_instead() -> None:
    with pytest.raises(RuntimeError, match="await"):
        build().run_sync({"label": "a"})


def test_many_threads_run_one_graph_at_once() -> None:
    graph = build()
    with leaving_nothing(), ThreadPoolExecutor(8) as pool:
        labels = [{"label": f"r{number}"} for number in range(40)]
        runs = list(pool.map(graph.run_sync, labels))
        assert [run.state.log for run in runs] == [logged(given["label"]) for given in labels]


def test_event_loops_in_several_threads_share_one_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    async def work(name: int) -> list[Run[Any]]:
        async with Runner(url, graphs=[build()], poll_s=0.02) as runner:
            started = [await runner.start("work", {"label": f"{name}-{n}"}) for n in range(6)]
            return await asyncio.gather(*(runner.wait(run.run_id, timeout_s=60) for run in started))

    with leaving_nothing(), ThreadPoolExecutor(4) as pool:
        ended: list[list[Run[Any]]] = [one.result() for one in [pool.submit(asyncio.run, work(n)) for n in range(4)]]
        for name, runs in enumerate(ended):
            assert [run.state.log for run in runs] == [logged(f"{name}-{n}") for n in range(6)]


# -- signals ----------------------------------------------------------------------------------

PROGRAM = """
    import asyncio
    from collegium.graphs import END, START, Graph, State
    from collegium.runs import Runner

    class Work(State):
        said: str = ""

    async def slow() -> str:
        print("at work", flush=True)
        await asyncio.sleep(300)
        return "never"

    graph = Graph(Work, name="work")
    graph.add_node("slow", slow, writes="said")
    graph.add_edge(START, "slow")
    graph.add_edge("slow", END)

    async def main() -> None:
        async with Runner("sqlite:///runs.db", graphs=[graph]) as runner:
            run = await runner.start(graph, {})
            try:
                await run.wait()
            finally:
                await runner.close(drain_s=0.1)

    asyncio.run(main())
"""


async def test_ctrl_c_ends_a_program_at_once_and_leaves_its_run_to_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(  # noqa: ASYNC220  # the test has nothing else to do meanwhile
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "at work\n"
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)

    assert said.strip().endswith("KeyboardInterrupt")
    assert "never awaited" not in said
    assert "destroyed" not in said
    async with Runner(f"sqlite:///{tmp_path / 'runs.db'}", serve=False) as runner:
        assert [run.status for run in await runner.runs()] == ["queued"]
