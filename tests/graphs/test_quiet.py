"""A node runs the same whether a callback handler listens or not."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableLambda
from langgraph._internal._runnable import RunnableSeq
from langgraph.config import get_config

from collegium import END, START, Graph, State

mark: ContextVar[str] = ContextVar("mark", default="")


class Names(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended = 0

    async def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.begun.append(kwargs["name"])

    async def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.ended += 1


class Walk(State):
    text: str
    seen: list[str] = []
    marked: str = ""


def looked() -> list[str]:
    config = get_config()
    return sorted(key for key in config if key not in ("callbacks", "recursion_limit", "max_concurrency"))


def chain(*, sync: bool) -> Graph[Walk]:
    async def first(text: str) -> list[str]:
        mark.set("first")
        await asyncio.sleep(0)
        return looked()

    def first_sync(text: str) -> list[str]:
        mark.set("first")
        return looked()

    def second() -> str:
        return mark.get()

    graph = Graph(Walk, name="walk")
    graph.add_node("first", first_sync if sync else first, writes="seen")
    graph.add_node("second", second, writes="marked")
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", END)
    return graph


@pytest.mark.parametrize("sync", [True, False])
async def test_a_node_sees_the_same_config_and_a_context_of_its_own_with_and_without_a_listener(sync: bool) -> None:
    compiled: Any = chain(sync=sync).compile()
    names = Names()

    quiet = await compiled.ainvoke({"text": "x"})
    heard = await compiled.ainvoke({"text": "x"}, {"callbacks": [names]})

    assert quiet == heard
    assert "configurable" in quiet["seen"] and "run_name" not in quiet["seen"]
    assert quiet["marked"] == ""
    assert mark.get() == ""


def test_a_sync_run_sees_the_same_too() -> None:
    compiled: Any = chain(sync=True).compile()

    quiet = compiled.invoke({"text": "x"})
    heard = compiled.invoke({"text": "x"}, {"callbacks": [Names()]})

    assert quiet == heard
    assert quiet["marked"] == ""


async def test_callbacks_are_made_only_where_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: Any = chain(sync=False).compile()

    def refuse(self: Any, *given: Any) -> Any:
        raise AssertionError("callbacks were made")

    monkeypatch.setattr(RunnableSeq, "_astart", refuse)

    await compiled.ainvoke({"text": "x"})
    with pytest.raises(AssertionError, match="callbacks were made"):
        await compiled.ainvoke({"text": "x"}, {"callbacks": [Names()]})


async def test_a_listener_hears_of_each_node_and_of_its_end() -> None:
    names = Names()

    compiled: Any = chain(sync=False).compile()
    await compiled.ainvoke({"text": "x"}, {"callbacks": [names]})

    assert names.begun == ["walk", START, "first", "second"]
    assert names.ended == 4


async def test_a_runnable_inside_is_heard_by_a_handler_that_only_it_was_given() -> None:
    names = Names()

    async def ask(text: str) -> str:
        inner = RunnableLambda[str, str](str.upper, name="inner")
        return str(await inner.ainvoke(text, {"callbacks": [names]}))

    graph = Graph(Walk, name="walk")
    graph.add_node("ask", ask, writes="marked")
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)

    assert (await graph.run({"text": "x"})).state.marked == "X"
    assert names.begun == ["inner"]


async def test_a_node_that_is_cancelled_stops_at_once() -> None:
    begun = asyncio.Event()
    stopped = asyncio.Event()

    async def wait(text: str) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return text

    graph = Graph(Walk, name="walk")
    graph.add_node("wait", wait, writes="marked")
    graph.add_edge(START, "wait")
    graph.add_edge("wait", END)
    compiled: Any = graph.compile()
    task = asyncio.create_task(compiled.ainvoke({"text": "x"}))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped.is_set()
