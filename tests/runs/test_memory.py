"""Runs in memory that nobody asks about are not written, and whoever asks finds them as if they were."""

from typing import Annotated

import pytest

from collegium.graphs import END, START, Graph, State, keep
from collegium.runs import MEMORY, Runner, worker


class Count(State):
    number: Annotated[int, keep] = 0


def counting() -> Graph[Count]:
    graph = Graph(Count, name="counting")

    @graph.node(writes="number")
    async def increase(number: int) -> int:
        return number + 1

    graph.add_edge(START, "increase")
    graph.add_edge("increase", END)
    return graph


async def test_a_run_that_is_over_can_be_looked_up_listed_and_waited_for_again() -> None:
    async with Runner(MEMORY) as memory:
        run = await (await memory.start(counting(), {"number": 1})).wait()

        again = await memory.get(run.run_id)
        listed = await memory.runs()

        assert (again.status, again.state) == (run.status, run.state) == ("done", Count(number=2))
        assert again.finished_at == run.finished_at
        assert [one.run_id for one in listed] == [run.run_id]
        assert (await run.wait()).state == Count(number=2)


async def test_the_events_of_a_run_are_the_same_whether_it_was_looked_up_or_not() -> None:
    async with Runner(MEMORY) as memory:
        quiet = await memory.start(counting(), {"number": 1})
        asked = await memory.start(counting(), {"number": 1})
        await memory.get(asked.run_id)
        await quiet.wait()
        await asked.wait()

        kinds = [[event.kind async for event in run.events()] for run in (quiet, asked)]
        numbers = [[event.seq async for event in run.events()] for run in (quiet, asked)]

    assert kinds[0] == kinds[1] == ["run_started", "node_started", "node_finished", "run_done"]
    assert numbers[0] == numbers[1] == [1, 2, 3, 4]


async def test_another_run_on_the_thread_of_a_run_that_is_over_goes_on_from_it() -> None:
    async with Runner(MEMORY) as memory:
        graph = counting()
        first = await (await memory.start(graph, {"number": 1})).wait()
        second = await (await memory.start(graph, {}, thread_id=first.thread_id)).wait()

        listed = await memory.runs(thread_id=first.thread_id)

    assert second.state == Count(number=3)
    assert [run.run_id for run in listed] == [second.run_id, first.run_id]


@pytest.mark.parametrize("ask_after_each", [False, True])
async def test_old_runs_are_forgotten_whether_they_were_written_or_not(
    monkeypatch: pytest.MonkeyPatch, ask_after_each: bool
) -> None:
    monkeypatch.setattr(worker, "FORGET_EVERY", 3)
    graph = counting()
    async with Runner(MEMORY) as memory:
        made: list[str] = []
        for number in range(10):
            run = await (await memory.start(graph, {"number": number})).wait()
            made.append(run.run_id)
            if ask_after_each:
                await memory.get(run.run_id)

        listed = [run.run_id for run in await memory.runs()]

    assert listed == made[:-5:-1]
