"""The stores that are damaged: 50 runs in every state, and what is true about them, kept outside."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from collegium import Graph, State, append
from collegium.runs import AT_REST, Run, Runner, call_tool
from collegium.tools import tool

RUNS = 50
KINDS = ("waiting", "done", "failed", "in_doubt", "large")
"""How runs end up, in turn; the last one is left at work by the kill."""


@tool(effect="unsafe", risk="high")
async def pay(ledger: str, name: str) -> str:
    """Pay once, and say so in a file that is no part of the store.

    Args:
        ledger: The file.
        name: Whose bill it is.
    """
    return _paid(ledger, name)


@tool(effect="unsafe", risk="low")
async def tip(ledger: str, name: str) -> str:
    """Pay without asking.

    Args:
        ledger: The file.
        name: Whose bill it is.
    """
    return _paid(ledger, name)


@tool(effect="unsafe", risk="low")
async def wire(ledger: str, name: str) -> str:
    """Pay, and lose the answer.

    Args:
        ledger: The file.
        name: Whose bill it is.
    """
    _paid(ledger, name)
    raise TimeoutError("the line was cut")


_TOOLS: dict[str, Any] = {"waiting": pay, "in_doubt": wire}


def _paid(ledger: str, name: str) -> str:
    with Path(ledger).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")
    return f"paid {name}"


def paid(ledger: Path) -> Counter[str]:
    """How often each name was paid for."""
    return Counter(ledger.read_text("utf-8").split()) if ledger.exists() else Counter()


class Work(TypedDict, total=False):
    """The state of the plain graph."""

    kind: str
    name: str
    ledger: str
    text: str
    said: str


class Job(State):
    """The state of the Collegium graph."""

    kind: str
    name: str
    ledger: str
    texts: Annotated[list[str], append] = []
    said: str = ""


async def _write(kind: str, name: str) -> str:
    if kind == "stuck":
        await asyncio.Event().wait()
    return f"{name} " * (4000 if kind == "large" else 20)


async def _act(kind: str, name: str, ledger: str) -> str:
    if kind == "failed":
        raise ValueError(f"no {name}")
    result = await call_tool(_TOOLS.get(kind, tip), {"ledger": ledger, "name": name})
    return f"{result.status}: {result.content}"


def graphs() -> list[Any]:
    """A plain LangGraph graph and a Collegium graph that do the same."""

    async def write(state: Work) -> Work:
        return {"text": await _write(state.get("kind", ""), state.get("name", ""))}

    async def act(state: Work) -> Work:
        return {"said": await _act(state.get("kind", ""), state.get("name", ""), state.get("ledger", ""))}

    plain: Any = StateGraph(Work)
    plain.add_node("write", write)
    plain.add_node("act", act)
    plain.add_edge(START, "write")
    plain.add_edge("write", "act")
    plain.add_edge("act", END)

    async def texts(kind: str, name: str) -> list[str]:
        return [await _write(kind, name)]

    async def said(kind: str, name: str, ledger: str) -> str:
        return await _act(kind, name, ledger)

    typed = Graph(Job, name="job", version="1")
    typed.add_node("write", texts, writes="texts")
    typed.add_node("act", said, writes="said")
    typed.add_edge(START, "write")
    typed.add_edge("write", "act")
    typed.add_edge("act", END)
    return [plain, typed]


@dataclass(frozen=True, slots=True)
class Known:
    """What is true of one run."""

    name: str
    kind: str
    status: str
    state: Any
    error: str | None
    approvals: tuple[tuple[str, str], ...]
    events: tuple[str, ...]


@dataclass(slots=True)
class Truth:
    """What is true of a store."""

    runs: dict[str, Known] = field(default_factory=dict[str, Known])
    paid: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True, slots=True)
class Template:
    """A store as bytes, and the truth about it."""

    truth: Truth
    db: bytes
    wal: bytes
    old: bytes
    """The file as it was when half of its runs were there."""


def build(folder: Path, *, killed: bool) -> Template:
    """A store that was closed, or whose process was killed, so that its log is left."""
    folder.mkdir(parents=True)
    path, told = folder / "runs.db", folder / "truth"
    child = os.fork()
    if not child:
        asyncio.run(_fill(path, told, killed))
        os._exit(0)
    os.waitpid(child, 0)
    wal = Path(f"{path}-wal")
    truth: Truth = pickle.loads(told.read_bytes())  # our own child wrote it
    return Template(truth, path.read_bytes(), wal.read_bytes() if wal.exists() else b"", (folder / "old").read_bytes())


async def _fill(path: Path, told: Path, killed: bool) -> None:
    ledger = path.with_name("ledger")
    async with Runner(f"sqlite:///{path}", graphs=graphs()) as runner:
        await _start(runner, ledger, range(RUNS // 2))
    shutil.copyfile(path, path.with_name("old"))
    async with Runner(f"sqlite:///{path}", graphs=graphs()) as runner:
        await _start(runner, ledger, range(RUNS // 2, RUNS - killed))
        truth = Truth({run.run_id: await known(runner, run.run_id) for run in await runner.runs(limit=RUNS)})
        if killed:
            stuck = await runner.start("job", _input("stuck", RUNS, ledger))
            truth.runs[stuck.run_id] = Known(f"name{RUNS}", "stuck", "running", None, None, (), ())
        truth.paid = paid(ledger)
        told.write_bytes(pickle.dumps(truth))  # noqa: ASYNC240  # nothing else runs here
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)


async def _start(runner: Runner, ledger: Path, numbers: Sequence[int]) -> None:
    for number in numbers:
        name = ("Work", "job")[number % 2]
        run = await runner.start(name, _input(KINDS[number % len(KINDS)], number, ledger), tags=[f"n{number % 3}"])
        await run.wait(timeout_s=60)


def _input(kind: str, number: int, ledger: Path) -> dict[str, str]:
    return {"kind": kind, "name": f"name{number}", "ledger": str(ledger)}


async def known(runner: Runner, run_id: str, watch: Callable[[str], None] = lambda _: None) -> Known:
    """What a Runner tells of a run at rest; `watch` hears which part is read next.

    Raises:
        StoreError: A part of it is damaged.
    """
    watch("get")
    run: Run[Any] = await runner.get(run_id)
    state: dict[str, Any] = run.state.model_dump() if isinstance(run.state, Job) else run.state
    watch("events")
    kinds = tuple([event.kind async for event in runner.events(run_id)]) if run.status in AT_REST else ()
    return Known(
        name=state.get("name", ""),
        kind=state.get("kind", ""),
        status=run.status,
        state={key: value for key, value in state.items() if key != "ledger"},
        error=run.error,
        approvals=tuple((approval.approval_id, approval.digest) for approval in run.approvals),
        events=kinds,
    )
