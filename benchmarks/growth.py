"""How the store and the work of a turn grow with a long chat: 200 turns of three messages of 1 kB each, by default.

    python benchmarks/growth.py [--turns 200] [--json FILE]

One thread, one run a turn: the person's message comes in, one node adds two. Once as a plain LangGraph graph with
`add_messages`, once as a `Graph` whose messages are kept, and once as one that keeps the newest 200, all under a Runner
on SQLite; and once as plain LangGraph with its own async SQLite saver (durability `sync`), for 200 turns at most, as
its file grows with the square of them. Sizes are those of all files of the store after it was closed; bytes and CPU
(user and system, all threads) of a turn are given by hundred.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from collegium import END, START, Graph, Runner, State, at_most, keep

RECENT = 200
"""Most messages of the chat that lets old ones go."""

LANGGRAPH_TURNS = 200
"""Most turns of LangGraph's own saver: 1,000 would be some 6 GB."""


@dataclass
class Growth:
    """What a chat has cost so far, noted at every hundred turns."""

    file: Path
    cpu_s: float = field(default_factory=process_time)
    bytes: int = 0
    by_hundred: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def turned(self, turn: int) -> None:
        """Note a turn that is over."""
        if turn % 100:
            return
        cpu_s, size = process_time(), stored(self.file)
        self.by_hundred.append(
            {"turns": turn, "kb": (size - self.bytes) / 1e5, "cpu_ms": (cpu_s - self.cpu_s) * 10},
        )
        self.cpu_s, self.bytes = process_time(), size


def stored(file: Path) -> int:
    """Bytes of all pages of a database, those in its log included."""
    connection = sqlite3.connect(file)
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    connection.close()
    return int(pages * size)


Chat = Callable[[Path, int, Growth], Awaitable[None]]


class Messages(TypedDict):
    """State of the plain graphs."""

    messages: Annotated[list[AnyMessage], add_messages]


class Conversation(State):
    """State of the typed one."""

    messages: Annotated[list[AnyMessage], add_messages, keep]


class Recent(State):
    """State of the typed one that lets old messages go."""

    messages: Annotated[list[AnyMessage], at_most(RECENT, add_messages), keep]


def _answer() -> list[AnyMessage]:
    return [AIMessage("y" * 1000), AIMessage("z" * 1000)]


def plain() -> Any:
    """A LangGraph graph."""

    def reply(state: Messages) -> Messages:
        return {"messages": _answer()}

    graph: Any = StateGraph(Messages)
    graph.add_node("reply", reply)
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    return graph


def typed(state: type[Conversation | Recent] = Conversation) -> Graph[Any]:
    """The same with a typed state."""

    def reply(messages: list[AnyMessage]) -> list[AnyMessage]:
        return _answer()

    graph = Graph(state)
    graph.add_node("reply", reply, writes="messages")
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    return graph


def under_runner(make: Callable[[], Any]) -> Chat:
    """The chat as runs of one thread."""

    async def chat(file: Path, turns: int, growth: Growth) -> None:
        graph = make()
        async with Runner(f"sqlite:///{file}") as runner:
            for turn in range(1, turns + 1):
                run = await runner.start(graph, {"messages": [HumanMessage("x" * 1000)]}, thread_id="chat")
                run = await run.wait()
                assert run.status == "done", run.error
                growth.turned(turn)

    return chat


async def with_langgraphs_saver(file: Path, turns: int, growth: Growth) -> None:
    """The chat as LangGraph keeps it."""
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        app = plain().compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "chat"}}
        for turn in range(1, min(turns, LANGGRAPH_TURNS) + 1):
            await app.ainvoke({"messages": [HumanMessage("x" * 1000)]}, config, durability="sync")
            growth.turned(turn)


CHATS: dict[str, Chat] = {
    "LangGraph, its async SQLite saver": with_langgraphs_saver,
    "LangGraph under a Runner": under_runner(plain),
    "Graph under a Runner": under_runner(typed),
    f"Graph, at_most({RECENT}) messages": under_runner(lambda: typed(Recent)),
}


async def measure(turns: int) -> dict[str, dict[str, Any]]:
    """Size in MB and CPU seconds of each chat, and both of a turn by hundred."""
    found: dict[str, dict[str, Any]] = {}
    for name, chat in CHATS.items():
        with tempfile.TemporaryDirectory() as folder:
            growth = Growth(Path(folder) / "chat.db")
            begun = process_time()
            await chat(growth.file, turns, growth)
            took = process_time() - begun
            size = _size(Path(folder))
        found[name] = {"mb": round(size / 1e6, 2), "cpu_s": round(took, 2), "by_hundred": growth.by_hundred}
        print(f"{name:36} {found[name]['mb']:8.2f} MB  {took:7.2f} s CPU", flush=True)
        for part in growth.by_hundred:
            print(f"{'to turn':>30} {part['turns']:5} {part['kb']:8.1f} kB {part['cpu_ms']:8.1f} ms a turn", flush=True)
    return found


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description="Size of the store after a long chat.")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = asyncio.run(measure(given.turns))
    if given.json:
        given.json.write_text(json.dumps({"turns": given.turns, "chats": found}, indent=2))


if __name__ == "__main__":
    main()
