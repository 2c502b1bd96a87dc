"""A run that waits is answered from another terminal, once, whatever became of the first; nothing else is."""

import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collegium.core.errors import AlreadyDecided, CorruptState
from collegium.runs import Approve, Runner

Terminal = Callable[..., Any]
Command = Callable[..., Any]

PLAIN = '''
"""A plain LangGraph graph whose tool call goes through the journal."""
from pathlib import Path
from typing import TypedDict
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

class Payment(TypedDict, total=False):
    to: str
    agreed: bool

def ask(state: Payment) -> Payment:
    return {"agreed": interrupt({"pay": state["to"]})}

def pay(state: Payment) -> Payment:
    if state["agreed"]:
        with Path("paid.txt").open("a") as file:
            file.write(f"{state['to']} 10.0\\n")
    return {}

graph = StateGraph(Payment)
graph.add_node("ask", ask)
graph.add_node("pay", pay)
graph.add_edge(START, "ask")
graph.add_edge("ask", "pay")
graph.add_edge("pay", END)
'''


@pytest.fixture(params=["flow.py", "plain.py"])
def target(request: pytest.FixtureRequest, project: Path) -> str:
    (project / "plain.py").write_text(PLAIN, encoding="utf-8")
    return str(request.param)


def paid(project: Path) -> list[str]:
    file = project / "paid.txt"
    return file.read_text().splitlines() if file.exists() else []


def database(project: Path) -> Path:
    return project / ".collegium" / "collegium.db"


def altered(project: Path, sql: str) -> None:
    with sqlite3.connect(database(project)) as conn:
        assert conn.execute(sql).rowcount == 1
    conn.close()


def test_a_run_whose_terminal_was_killed_is_answered_from_another(
    terminal: Terminal, process: Command, project: Path, target: str
) -> None:
    screen = terminal("run", target, "bob")
    screen.until("bob")
    screen.until("default n" if target == "flow.py" else "pay")
    screen.process.send_signal(signal.SIGKILL)
    screen.end()

    (approval,) = process("inbox", "--json").json
    answered = process("answer", approval["id"], "approve", "--by", "ada", "--json")
    again = process("answer", approval["id"], "reject", "--by", "eve")

    assert (answered.status, answered.json["status"]) == (0, "done")
    assert (again.status, paid(project)) == (1, ["bob 10.0"])
    assert "was decided already: approve by ada at" in again.line


def test_what_is_stale_or_unknown_is_refused_and_still_waits(collegium: Command, project: Path, target: str) -> None:
    approval = collegium("run", target, "bob", "--json").json["approvals"][0]

    stale = collegium("approve", approval["id"], "--digest", "0" * 64)
    unknown = collegium("approve", "ap-nobody")

    assert (stale.status, unknown.status, paid(project)) == (1, 2, [])
    assert "another content" in stale.line
    assert "ap-nobody" in unknown.line
    assert [one["id"] for one in collegium("inbox", "--json").json] == [approval["id"]]


ALTERATIONS = {
    "payload": "UPDATE approval SET payload = replace(payload, 'bob', 'eve')",
    "allowed": "UPDATE approval SET allowed = '[\"approve\"]'",
    "digest": "UPDATE approval SET digest = 'x'",
    "expiry": "UPDATE approval SET expires_at = '2999-01-01T00:00:00.000000+00:00'",
    "vanished": "DELETE FROM approval",
}


@pytest.mark.parametrize("what", ALTERATIONS)
def test_an_approval_that_was_altered_in_the_store_is_refused_in_one_line(
    collegium: Command, project: Path, target: str, what: str
) -> None:
    approval = collegium("run", target, "bob", "--json").json["approvals"][0]
    altered(project, ALTERATIONS[what])

    answered = collegium("answer", approval["id"], "approve")

    assert answered.status in (1, 2)
    assert ("collegium doctor" if what == "vanished" else approval["id"]) in answered.line
    assert paid(project) == []
    assert collegium("show", approval["run_id"], "--json").status == 1


def test_a_decision_that_was_taken_back_by_hand_cannot_be_given_again(
    collegium: Command, project: Path, target: str
) -> None:
    approval = collegium("run", target, "bob", "--json").json["approvals"][0]
    collegium("answer", approval["id"], "approve")
    altered(project, "UPDATE approval SET state = 'pending', decision = NULL, decided_by = NULL, decided_at = NULL")

    again = collegium("answer", approval["id"], "approve")

    assert (again.status, paid(project)) == (1, ["bob 10.0"])
    assert "damaged" in again.line


async def test_python_is_told_the_same(process: Command, project: Path, target: str) -> None:
    approval = process("run", target, "bob", "--json").json["approvals"][0]
    async with Runner(f"sqlite:///{database(project)}", serve=False) as runner:
        await runner.answer(approval["id"], Approve(by="ada"))
        with pytest.raises(AlreadyDecided, match="approve by ada"):
            await runner.answer(approval["id"], Approve(by="eve"))
    resumed = process("resume", approval["run_id"], "--json")
    assert (resumed.json["status"], paid(project)) == ("done", ["bob 10.0"])


async def test_python_refuses_what_was_altered(process: Command, project: Path, target: str) -> None:
    approval = process("run", target, "bob", "--json").json["approvals"][0]
    altered(project, ALTERATIONS["payload"])
    async with Runner(f"sqlite:///{database(project)}") as runner:
        with pytest.raises(CorruptState, match="damaged"):
            await runner.answer(approval["id"], Approve(by="ada"))
