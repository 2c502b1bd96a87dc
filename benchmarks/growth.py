"""How large the store grows with a long chat: 200 turns of three messages of 1 kB each, by default.

    python benchmarks/growth.py [--turns 200] [--json FILE]

One thread, one run a turn: the person's message comes in, one node adds two. Once as a plain LangGraph graph with
`add_messages`, once as a `Graph` whose messages are kept, both under a Runner on SQLite; and once as plain LangGraph
with its own async SQLite saver (durability `sync`). Sizes are those of all files of the store after it was closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import process_time
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from collegium import END, START, Graph, Runner, State, keep

Chat = Callable[[Path, int], Awaitable[None]]


class Messages(TypedDict):
    """State of the plain graphs."""

    messages: Annotated[list[AnyMessage], add_messages]


class Conversation(State):
    """State of the typed one."""

    messages: Annotated[list[AnyMessage], add_messages, keep]


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


def typed() -> Graph[Conversation]:
    """The same with a typed state."""

    def reply(messages: list[AnyMessage]) -> list[AnyMessage]:
        return _answer()

    graph = Graph(Conversation)
    graph.add_node("reply", reply, writes="messages")
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    return graph


def under_runner(make: Callable[[], Any]) -> Chat:
    """The chat as runs of one thread."""

    async def chat(folder: Path, turns: int) -> None:
        graph = make()
        async with Runner(f"sqlite:///{folder}/chat.db") as runner:
            for _ in range(turns):
                run = await runner.start(graph, {"messages": [HumanMessage("x" * 1000)]}, thread_id="chat")
                run = await run.wait()
                assert run.status == "done", run.error

    return chat


async def with_langgraphs_saver(folder: Path, turns: int) -> None:
    """The chat as LangGraph keeps it."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / "chat.db")) as saver:
        app = plain().compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "chat"}}
        for _ in range(turns):
            await app.ainvoke({"messages": [HumanMessage("x" * 1000)]}, config, durability="sync")


CHATS: dict[str, Chat] = {
    "LangGraph, its async SQLite saver": with_langgraphs_saver,
    "LangGraph under a Runner": under_runner(plain),
    "Graph under a Runner": under_runner(typed),
}


async def measure(turns: int) -> dict[str, dict[str, float]]:
    """Size in MB and CPU seconds of each chat."""
    found: dict[str, dict[str, float]] = {}
    for name, chat in CHATS.items():
        with tempfile.TemporaryDirectory() as folder:
            begun = process_time()
            await chat(Path(folder), turns)
            took = process_time() - begun
            size = _size(Path(folder))
        found[name] = {"mb": round(size / 1e6, 2), "cpu_s": round(took, 2)}
        print(f"{name:36} {found[name]['mb']:8.2f} MB  {took:7.2f} s CPU", flush=True)
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
