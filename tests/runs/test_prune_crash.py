"""SIGKILL at any statement of a prune: every run is whole or pruned, and a second prune does the rest."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from collegium.runs import Respond, Runner


def load(name: str) -> ModuleType:
    """A module beside this file, under a name that child processes can import too."""
    path = Path(__file__).with_name(f"{name}.py")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


pruning = load("pruning")

RUNS = 8


def text_of(number: int) -> str:
    return f"{number}" * 5_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with finished runs, some on one thread, and one that waits."""
    folder = tmp_path_factory.mktemp("filled")
    asyncio.run(fill(folder))
    return folder


async def fill(folder: Path) -> None:
    graph = pruning.build()
    async with Runner(f"sqlite:///{folder}/runs.db", graphs=[graph]) as runner:
        for number in range(RUNS):
            thread_id = "shared" if number % 2 else None
            run = await (await runner.start(graph, {"text": text_of(number)}, thread_id=thread_id)).wait(timeout_s=60)
            if number < RUNS - 1:
                await run.answer(run.approvals[0].id, Respond("yes", by="ada"))


@pytest.mark.parametrize("at", [4, 14, 28, 44, 62, 85])
async def test_a_killed_prune_leaves_runs_whole_or_pruned(filled: Path, tmp_path: Path, at: int) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    url = f"sqlite:///{tmp_path}/runs.db"

    assert pruning.killed_at(url, at) == -signal.SIGKILL

    async with Runner(url, graphs=[pruning.build()]) as runner:
        found = list(reversed(await runner.runs()))
        assert len(found) == RUNS
        for number, known in enumerate(found):
            run = await runner.get(known.run_id)
            kinds = [event.kind async for event in run.events()]
            if run.pruned_at is None:
                assert run.state.copy_of == text_of(number)
                assert kinds[0] == "run_started"
            else:
                assert (run.state, kinds) == (None, [])

        await runner.prune(older_than=timedelta(0))

        again = [await runner.get(known.run_id) for known in found]
        # Of the thread that waits, the run that it last was done with stays, too.
        assert [run.pruned_at is None for run in again] == [False] * (RUNS - 3) + [True, False, True]
        waiting = again[-1]
        done = await waiting.answer(waiting.approvals[0].id, Respond("yes", by="ada"))
        assert done.state.copy_of == text_of(RUNS - 1)
        assert await runner.store.read(lambda conn: conn.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
