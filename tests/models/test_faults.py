"""Every fault of a badly behaved server, over a real socket: a typed end, in time, and no tool on half a call."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import BaseModel

from collegium.agents import ToolExecutor
from collegium.core.errors import BackendError, BackendRejected, CollegiumError, OutputRefused, PromptTooLong
from collegium.core.messages import user
from collegium.graphs import END, START, Graph, State
from collegium.models import Capabilities, Completion, Limits, Model, Params, model
from collegium.models.compatible.gates import forget_gates
from collegium.testing.faults import FAULTS, TRANSIENT, bites
from collegium.testing.faulty import FaultServer, read_mix
from collegium.tools import tool

ASK = [user("Who wrote the first program?")]
KEY = "sk-secret-5e1f"
SLOW = ("timeout", "hang", "slow_drip", "stall_stream", "endless_stream")
"""Faults that only the deadline ends."""
LIMITS = Limits(attempts=2, idle_s=0.3, timeout_s=20.0)
EMPTY = ("null_content", "empty_content")
NEVER_RUN = ("tool_bad_json", "tool_wrong_type", "tool_unknown", "tool_args_empty", "tool_huge_args", "tool_flood")


class Fact(BaseModel):
    name: str
    year: int


class Work(State):
    goal: str
    text: str = ""


def work_of(llm: Model, ran: list[str]) -> Graph[Work]:
    @tool(effect="read", risk="low")
    async def look_up(path: str) -> str:
        """Look up a path."""
        ran.append(path)
        return f"found {path}"

    graph = Graph(Work, name="faults")
    graph.add_node("act", ToolExecutor(llm, tools=[look_up], gives="text", max_turns=3), writes="text")
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[FaultServer, None]:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with FaultServer() as running:
        yield running


async def call(server: FaultServer, fault: str, mode: str, provider: str = "openai-compatible") -> Completion[Any]:
    llm = model(f"{provider}:chaos:{fault}@{server.url}", limits=LIMITS)
    timeout_s = 1.0 if fault in SLOW else None
    try:
        if mode == "streamed":
            last = [event async for event in llm.stream(ASK, timeout_s=timeout_s)][-1]
            assert isinstance(last, Completion)
            return last
        if mode == "structured":
            return await llm.complete(ASK, output=Fact, timeout_s=timeout_s)
        return await llm.complete(ASK, timeout_s=timeout_s)
    finally:
        await llm.aclose()


@pytest.mark.parametrize("mode", ["plain", "streamed", "structured"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_ends_typed_counted_and_never_in_silence(
    server: FaultServer, fault: str, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error: BackendError | None = None
    done: Completion[Any] | None = None
    try:
        done = await call(server, fault, mode)
    except BackendError as caught:  # anything else fails the test
        error = caught
    assert server.requests == (done.requests if done else error.requests if error else 0)
    wanted = FAULTS[fault].outcome if bites(FAULTS[fault], streamed=mode == "streamed") else "answer"
    if wanted == "error" and not fault.startswith("tool_"):
        assert error is not None, done
    if wanted == "answer":
        assert done is not None, error
    if done is not None:
        assert done.text or done.output or fault in EMPTY
    assert KEY not in caplog.text + repr(error) + str(error)
    assert server.keys <= {f"Bearer {KEY}"}


@pytest.mark.parametrize("fault", [f for f in FAULTS if f not in (*SLOW, "tool_loop")])
async def test_an_agent_runs_no_tool_on_a_bad_call(server: FaultServer, fault: str) -> None:
    ran: list[str] = []
    llm = model(f"openai-compatible:chaos:{fault}@{server.url}", limits=LIMITS, capabilities=Capabilities())
    try:
        await work_of(llm, ran).run({"goal": "find it"}, thread_id="t")
    except CollegiumError:
        pass
    finally:
        await llm.aclose()
    assert not ran or fault not in NEVER_RUN
    assert len(ran) <= 6  # two calls in each of three turns


@pytest.mark.parametrize("fault", [name for name, one in FAULTS.items() if one.where != "embedding"])
async def test_the_sdk_as_a_transport_meets_faults_alike(server: FaultServer, fault: str) -> None:
    try:
        done = await call(server, fault, "plain", "openai")
    except BackendError as error:
        assert FAULTS[fault].outcome != "answer"
        assert KEY not in repr(error) + str(error)
    else:
        assert done.text or fault in EMPTY


@pytest.mark.parametrize(
    ("fault", "name"), [("400_context", PromptTooLong), ("refusal", OutputRefused), ("400", BackendRejected)]
)
async def test_what_a_server_says_is_told_by_type(server: FaultServer, fault: str, name: type[BackendError]) -> None:
    with pytest.raises(name):
        await call(server, fault, "plain")


@pytest.mark.parametrize("fault", ["429", "429_ms", "503"])
async def test_the_wait_asked_for_is_kept(fault: str) -> None:
    async with FaultServer(retry_after_s=0.2) as server:
        with pytest.raises(BackendError):
            await call(server, fault, "plain")
        first, second = (float(entry["t"]) for entry in server.log)
    assert second - first >= 0.199


async def test_two_clients_wait_differently(server: FaultServer) -> None:
    waits: list[float] = []

    async def keep(seconds: float) -> None:
        waits.append(seconds)

    from collegium.models.compatible.backend import CompatibleModel
    from collegium.models.compatible.transport import AiohttpTransport
    from collegium.models.profiles import PROFILES

    for _ in range(2):
        profile = PROFILES["openai-compatible"]
        transport = AiohttpTransport("m", server.url, profile)
        llm = CompatibleModel("m", "chaos:500", profile, transport, sleep=keep)
        with pytest.raises(BackendError):
            await llm.complete(ASK)
        forget_gates()
    assert len(waits) == len(set(waits)) == 6


async def test_runs_end_rightly_where_one_request_in_five_fails() -> None:
    mix = {"ok": 80.0, **{name: 20.0 / len(TRANSIENT) for name in TRANSIENT}}
    ran: list[str] = []
    async with FaultServer(mix, seed=3, retry_after_s=0.01) as server:
        llm = model(f"vllm:m@{server.url}", limits=Limits(attempts=6), capabilities=Capabilities())
        graph = work_of(llm, ran)
        runs = await asyncio.gather(*(graph.run({"goal": f"goal {n}"}, thread_id=f"t-{n}") for n in range(30)))
        await llm.aclose()
        stats = server.stats()
    assert all(run.state.text.startswith("Said:") for run in runs)
    assert (len(ran), stats["open_now"]) == (30, 0)
    assert stats["requests"] > 60


async def test_a_mix_is_drawn_alike_from_one_seed() -> None:
    async def draw(seed: int) -> list[str]:
        async with FaultServer(read_mix("ok=1,500=1,not_json"), seed=seed) as server:
            llm = model(f"vllm:m@{server.url}", limits=Limits(attempts=1))
            for _ in range(8):
                forget_gates()
                try:
                    await llm.complete(ASK, params=Params(max_tokens=5))
                except BackendError:
                    pass
            return [str(entry["fault"]) for entry in server.log]

    assert await draw(1) == await draw(1) != await draw(2)
    with pytest.raises(ValueError, match="no fault is called nonsense"):
        FaultServer({"nonsense": 1})
