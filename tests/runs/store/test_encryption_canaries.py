"""What only some runs leave in a store: edits, answers, reasons, errors, maps, agents, forks. A key hides it all."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import pytest

from collegium import END, START, Approve, Edit, Graph, Reject, Respond, Runner, State, append
from collegium.agents import ToolExecutor
from collegium.core.messages import ToolCall
from collegium.runs import call_tool
from collegium.runs.store import Store
from collegium.testing import ScriptedModel
from collegium.tools import ToolResult, tool

KEY = "a2V5IG51bWJlciBvbmUsIGZvciB0ZXN0cyBvbmx5ISE"
WORDS = "goal item page call asked edited reason answer error tag meta forked result final who".split()
CANARIES = {word: f"kanarienvogel-{word}" for word in WORDS}
C = CANARIES


class Work(State):
    goal: str
    items: list[str] = []
    pages: Annotated[list[str], append] = []
    results: Annotated[list[ToolResult], append] = []
    text: str = ""
    first: str = ""
    second: str = ""
    third: str = ""


@tool(effect="unsafe", risk="high")
async def send(text: str) -> str:
    """Send a text.

    Args:
        text: What.
    """
    return f"{C['result']} {text}"


async def plan(goal: str) -> list[str]:
    return [f"{C['item']} {number}" for number in range(3)]


async def read(item: str) -> str:
    return f"{C['page']} of {item} " * 300


def acting() -> Callable[[str], Awaitable[str]]:
    async def act(goal: str) -> str:
        return (await call_tool(send, {"text": C["asked"]})).content

    return act


async def fail(third: str) -> str:
    raise ValueError(f"{C['error']} happened")


def work() -> Graph[Work]:
    model = ScriptedModel(
        [
            ToolCall("c1", "send", json.dumps({"text": C["call"]})),
            C["final"],
        ]
    )
    graph = Graph(Work, name="work")
    graph.add_node("plan", plan, writes="items")
    graph.add_map("read", read, over="items", writes="pages")
    graph.add_node("agent", ToolExecutor(model, [send]), writes={"results": "results"})
    graph.add_node("first", acting(), writes="first")
    graph.add_node("second", acting(), writes="second")
    graph.add_node("third", acting(), writes="third")
    graph.add_node("fail", fail, writes="text")
    order = ["plan", "read", "agent", "first", "second", "third", "fail"]
    graph.add_edge(START, "plan")
    for one, two in zip(order, order[1:] + [END], strict=True):
        graph.add_edge(one, two)
    return graph


def seen(folder: Path) -> set[str]:
    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    found: set[str] = set()
    for word, canary in CANARIES.items():
        raw = canary.encode()
        forms = [raw, raw.hex().encode(), canary.encode("utf-16-le")]
        forms += [base64.b64encode(b"x" * pad + raw)[4:-4] for pad in range(3)]
        if any(form in content for form in forms):
            found.add(word)
    return found


async def readable(folder: Path, key: str | None) -> set[str]:
    """Every canary that was readable at some moment of the run, or is after it."""
    store = Store(str(folder / "store.db"), key=key)
    await store.open()
    answers: list[Approve | Edit | Reject | Respond] = [
        Approve(by=C["who"]),
        Edit({"text": C["edited"]}),
        Reject(C["reason"]),
        Respond(C["answer"]),
    ]
    async with Runner(store, graphs=[work()]) as runner:
        run = await runner.start("work", {"goal": C["goal"]}, tags=[C["tag"]], metadata={"a": C["meta"]})
        run = await run.wait(timeout_s=60)
        found = seen(folder)
        for answer in answers:
            (approval,) = run.approvals
            run = await runner.answer(approval.approval_id, answer, digest=approval.digest)
            run = await run.wait(timeout_s=60)
            found |= seen(folder)
        fork = await run.fork(at=4, effects="reuse", values={"goal": C["forked"]}, thread_id="t2")
        await fork.wait(timeout_s=60)
        found |= seen(folder)
    await store.close()
    assert run.status == "failed"
    return found | seen(folder)


@pytest.mark.parametrize("key", [KEY, None])
async def test_a_key_hides_what_is_else_readable_in_the_files_of_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    (tmp_path / "temporary").mkdir()
    for name in ("TMPDIR", "SQLITE_TMPDIR"):  # looked through like the store itself
        monkeypatch.setenv(name, str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)

    assert await readable(tmp_path, key) == (set() if key else set(WORDS))
