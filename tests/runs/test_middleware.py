"""LangChain's human-in-the-loop middleware under a Runner: its requests become approvals, a row each call."""

from __future__ import annotations

from typing import Any, cast

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]  # its overloads leave a parameter open
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool

from collegium.core.errors import InvalidDecision, ThreadBusy
from collegium.runs import Approve, Edit, Reject, Runner


class Model(GenericFakeChatModel):
    """Answers in turn, and takes tools without looking at them."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def agent(sent: list[str]) -> Any:
    @tool
    def send(to: str) -> str:
        """Send a letter."""
        sent.append(to)
        return f"sent to {to}"

    calls = [{"name": "send", "args": {"to": who}, "id": f"c{who}"} for who in ("bob", "eve")]
    answers = [AIMessage("", tool_calls=cast(Any, calls)), AIMessage("all done")]
    gate = HumanInTheLoopMiddleware(interrupt_on={"send": True})
    return create_agent(Model(messages=iter(answers)), tools=[send], middleware=[gate])


async def test_each_call_is_one_approval_and_the_decisions_go_to_their_calls(url: str) -> None:
    sent: list[str] = []
    graph = agent(sent)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {"messages": [("user", "write to both")]}, thread_id="t")).wait()
        assert [approval.payload["args"] for approval in run.approvals] == [{"to": "bob"}, {"to": "eve"}]
        with pytest.raises(ThreadBusy):
            await runner.start(graph, {"messages": [("user", "hello?")]}, thread_id="t")
        with pytest.raises(InvalidDecision):
            await run.answer(run.approvals[0].id, Edit(["not", "arguments"]))

        run = await run.answer(run.approvals[0].id, Edit({"to": "ann"}, "ada"))
        assert (run.status, sent) == ("waiting", [])
        run = await run.answer(run.approvals[0].id, Reject("not eve", "ada"))

        assert run.status == "done"
        assert sent == ["ann"]
        results = [message for message in run.state["messages"] if isinstance(message, ToolMessage)]
        assert {message.status for message in results} == {"success", "error"}


async def test_approving_all_runs_each_once(url: str) -> None:
    sent: list[str] = []
    graph = agent(sent)
    async with Runner(url, graphs=[graph]) as runner:
        run = await (await runner.start(graph, {"messages": [("user", "write")]})).wait()
        while run.status == "waiting":
            run = await run.answer(run.approvals[0].id, Approve("ada"))
        assert sorted(sent) == ["bob", "eve"]
        assert run.state["messages"][-1].content == "all done"
