"""Every fault of a badly behaved model server, met plain, streamed, with tools, and with a schema.

    python -m benchmarks.faults [--server URL] [--provider openai-compatible] [--deadline 4] [--json FILE]
    python -m benchmarks.faults --agents 300 [--server URL]

Without `--server` one is started in a process of its own (`python -m collegium.testing.faulty`). Any other will do
that takes a fault as the model `chaos:NAME` and tells what it did at `/stats`, `/log` and `/reset`. `--agents` runs
agents with one tool against a server whose `mix` fails one request in five.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import resource
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
from pydantic import BaseModel

from collegium.agents import ToolExecutor
from collegium.core.errors import BackendError, CollegiumError
from collegium.core.messages import user
from collegium.graphs import END, START, Graph, State
from collegium.models import Completion, Limits, Model, TextDelta, model
from collegium.models.backend import Backend, Call
from collegium.models.base import Capabilities, StreamEvent
from collegium.models.compatible.gates import forget_gates
from collegium.testing.faults import FAULTS, TRANSIENT, bites
from collegium.testing.faulty import read_mix
from collegium.tools import tool

KEY = "sk-benchmark-0f3a9c"
LATE_S = 0.5
MEMORY_MB = 64
Mode = Literal["plain", "streamed", "tools", "structured"]
MODES: tuple[Mode, ...] = ("plain", "streamed", "tools", "structured")
BAD_CALLS = ("tool_bad_json", "tool_wrong_type", "tool_unknown", "tool_args_empty", "tool_huge_args", "tool_flood")
EMPTY = ("null_content", "empty_content")
"""Faults whose answer is truly empty."""
UNSAID = ("refusal", "streamed")
"""A server may leave the refusal out of its stream, and then sends nothing but an end."""
WAITS = ("429", "429_ms", "503")


class Fact(BaseModel):
    name: str
    year: int


@dataclass(slots=True)
class Case:
    """What came of one fault in one mode."""

    fault: str
    mode: Mode
    end: str = ""
    """`answer`, `empty`, or the code of the error."""
    seconds: float = 0.0
    told: int = 0
    """Requests as Collegium counts them."""
    met: int = 0
    """Requests as the server counts them."""
    tools_run: int = 0
    wrong: list[str] = field(default_factory=list[str])


class Counted(Backend):
    """A model that adds up the requests of all its calls."""

    def __init__(self, inner: Backend) -> None:
        self._inner, self.requests = inner, 0

    @property
    def spec(self) -> str:
        """What names the model inside."""
        return self._inner.spec

    async def capabilities(self) -> Capabilities:
        """A capable one with tools."""
        return Capabilities()

    async def answer(self, call: Call) -> Completion[Any]:
        """As the model inside."""
        with self._counting():
            done = await self._inner.answer(call)
        self.requests += done.requests
        return done

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """As the model inside."""
        with self._counting():
            async for event in self._inner.answer_stream(call):
                if isinstance(event, Completion):
                    self.requests += event.requests
                yield event

    @contextlib.contextmanager
    def _counting(self) -> Generator[None]:
        try:
            yield
        except BackendError as error:
            self.requests += error.requests
            raise


class Work(State):
    goal: str
    text: str = ""


def agent(llm: Model, ran: list[str]) -> Graph[Work]:
    """One executor with one tool that reads."""

    @tool(effect="read", risk="low")
    async def look_up(path: str, line: int) -> str:
        """Look up a line.

        Args:
            path: Where.
            line: Which.
        """
        ran.append(path)
        return f"line {line} of {path}"

    graph = Graph(Work, name="faults")
    graph.add_node("act", ToolExecutor(llm, tools=[look_up], gives="text", max_turns=3), writes="text")
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


class Bench:
    """Meets faults, one at a time.

    Args:
        url: The server's base address.
        provider: Whose transport is used: `openai` takes the SDK.
        deadline_s: Of each call.
    """

    def __init__(self, url: str, provider: str, deadline_s: float) -> None:
        self._url, self._provider, self._deadline_s = url, provider, deadline_s
        self._root = url.removesuffix("/v1")
        self._said = io = _Said()
        logging.getLogger().addHandler(io)
        logging.getLogger().setLevel(logging.DEBUG)

    async def meet(self, fault: str, mode: Mode) -> Case:
        """Send a request that meets this fault, and judge what came of it."""
        forget_gates()
        await self.control("POST", "/reset")
        case, ran = Case(fault, mode), list[str]()
        spec = f"{self._provider}:chaos:{fault}@{self._url}"
        inner = model(spec, limits=Limits(idle_s=1.0, timeout_s=self._deadline_s))
        assert isinstance(inner, Backend)
        llm = Counted(inner)
        self._said.lines.clear()
        started = time.perf_counter()
        try:
            done = await self._call(llm, mode, ran)
        except BaseException as error:  # what is caught is what is measured
            case.seconds = time.perf_counter() - started
            case.end = _judge_error(case, error)
            _find_key(case, "".join(traceback.format_exception(error)) + repr(error))
        else:
            case.seconds = time.perf_counter() - started
            case.end = "answer" if done else "empty"
        finally:
            await inner.aclose()
        case.told, case.tools_run = llm.requests, len(ran)
        await self._compare(case)
        return case

    async def _call(self, llm: Model, mode: Mode, ran: list[str]) -> Any:
        ask = [user("Who wrote the first program?")]
        match mode:
            case "plain":
                return (await llm.complete(ask)).text
            case "structured":
                return (await llm.complete(ask, output=Fact)).output
            case "streamed":
                events = [event async for event in llm.stream(ask)]
                last = events[-1]
                assert isinstance(last, Completion)
                shown = "".join(event.text for event in events if isinstance(event, TextDelta))
                return last.text if not last.text or last.text in shown else ""
            case "tools":
                return (await agent(llm, ran).run({"goal": ask[0].content}, thread_id="t")).state.text or ran

    async def _compare(self, case: Case) -> None:
        fault = FAULTS[case.fault]
        stats = await self._settled()
        case.met = int(stats["faults"].get(case.fault, 0))
        wrong = case.wrong
        if case.met != case.told:
            wrong.append(f"counts {case.told} requests, the server {case.met}")
        if stats["open_now"]:
            wrong.append("left a connection open")
        turns = 3 if case.mode == "tools" else 1
        if case.seconds > self._deadline_s * turns + LATE_S:
            wrong.append("ended past its deadline")
        if case.end == "empty" and case.fault not in EMPTY and (case.fault, case.mode) != UNSAID:
            wrong.append("gave an empty answer in silence")
        if case.tools_run and case.fault in BAD_CALLS:
            wrong.append(f"ran a tool {case.tools_run} times on a bad call")
        if not fault.retried and case.mode == "plain" and case.met > 1:
            wrong.append("tried again what no try can better")
        wrong += _outcome(case)
        _find_key(case, self._said.text())
        if case.fault in WAITS:
            wrong += _gaps(await self.control("GET", "/log"), case)

    async def _settled(self) -> dict[str, Any]:
        """What the server did; it may notice a client that left only a moment later."""
        stats: dict[str, Any] = {}
        for _ in range(20):
            stats = await self.control("GET", "/stats")
            if not stats["open_now"]:
                break
            await asyncio.sleep(0.05)
        return stats

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server about itself."""
        async with aiohttp.ClientSession() as session, session.request(method, self._root + path, json=body) as answer:
            return await answer.json()


class _Said(logging.Handler):
    """Everything that was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self.lines.append(record.getMessage() + repr(record.args))

    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)


def _judge_error(case: Case, error: BaseException) -> str:
    if not isinstance(error, CollegiumError):
        case.wrong.append(f"raised {type(error).__module__}.{type(error).__name__}")
        return type(error).__name__
    cause = error.__cause__ if error.code == "run_failed" else error
    return cause.code if isinstance(cause, CollegiumError) else error.code


def _find_key(case: Case, text: str) -> None:
    if KEY in text:
        case.wrong.append("told the key")


def _outcome(case: Case) -> list[str]:
    """Whether the end is one that the fault allows."""
    fault = FAULTS[case.fault]
    if case.end == "empty" or (case.fault.startswith("tool") and case.mode != "tools"):
        return []
    wanted = fault.outcome if bites(fault, streamed=case.mode == "streamed") else "answer"
    if case.mode == "structured" and fault.name in ("dup_chunk", "length", *EMPTY):
        wanted = "either"
    ended = "answer" if case.end == "answer" else "error"
    return [] if wanted in ("either", ended) else [f"ended as {case.end}; {wanted} is due"]


def _gaps(log: Sequence[dict[str, Any]], case: Case) -> list[str]:
    """Whether each wait that was asked for (one second) was kept, and not much more."""
    times = [entry["t"] for entry in log if entry["fault"] == case.fault]
    gaps = [later - sooner for sooner, later in zip(times, times[1:], strict=False)]
    return [f"waited {gap:.2f} s where 1 s was asked for" for gap in gaps if not 0.99 <= gap <= 2.0]


async def matrix(bench: Bench, names: Sequence[str], modes: Sequence[Mode]) -> list[Case]:
    """All faults in all modes; memory is looked at from after the first well-behaved round."""
    for mode in modes:
        await bench.meet("ok", mode)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cases: list[Case] = []
    for name in names:
        for mode in modes:
            case = await bench.meet(name, mode)
            cases.append(case)
            print(
                f"{case.fault:18}{case.mode:12}{case.end:22}{case.met:3} requests {case.seconds:6.2f} s"
                f"  {'; '.join(case.wrong)}",
                flush=True,
            )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"\nmemory grew by {grown:.0f} MB (at most {MEMORY_MB})")
    if grown > MEMORY_MB:
        cases[-1].wrong.append(f"memory grew by {grown:.0f} MB")
    return cases


def summary(cases: Sequence[Case]) -> str:
    """The pass marks."""
    marks: list[tuple[str, Callable[[Case], bool]]] = [
        ("foreign exceptions", lambda c: any(w.startswith("raised") for w in c.wrong)),
        ("silent empties", lambda c: any("silence" in w for w in c.wrong)),
        ("past the deadline", lambda c: any("deadline" in w for w in c.wrong)),
        ("tools run on bad calls", lambda c: any("bad call" in w for w in c.wrong)),
        ("counts that differ", lambda c: any("counts" in w for w in c.wrong)),
        ("waits not kept", lambda c: any("asked for" in w for w in c.wrong)),
        ("tries in vain", lambda c: any("no try" in w for w in c.wrong)),
        ("connections left open", lambda c: any("open" in w for w in c.wrong)),
        ("keys told", lambda c: any("key" in w for w in c.wrong)),
        ("wrong ends", lambda c: any("is due" in w for w in c.wrong)),
    ]
    rows = [f"{name:24}{sum(map(seen, cases))}" for name, seen in marks]
    return "\n".join([f"{len(cases)} cases", *rows])


async def agents(bench: Bench, url: str, provider: str, runs: int) -> int:
    """How many agent runs end rightly where one request in five fails, with six tries."""
    await bench.control("POST", "/reset")
    limits = Limits(attempts=6, timeout_s=60.0, idle_s=5.0)
    free, ends = asyncio.Semaphore(16), Counter[str]()
    llm = model(f"{provider}:m@{url}", limits=limits, capabilities=Capabilities())

    async def one(number: int) -> None:
        ran: list[str] = []
        async with free:
            try:
                done = await agent(llm, ran).run({"goal": f"goal {number}"}, thread_id=f"t-{number}")
            except CollegiumError as error:
                ends[str(error)[:120]] += 1
            else:
                ends["right" if done.state.text and len(ran) == 1 else "wrong"] += 1

    await asyncio.gather(*(one(number) for number in range(runs)))
    await llm.aclose()
    stats = await bench.control("GET", "/stats")
    failed = sum(count for name, count in stats["faults"].items() if name != "ok")
    print(f"{ends['right']} of {runs} runs ended rightly; {failed} of {stats['requests']} requests failed")
    for end, count in ends.items():
        if end != "right":
            print(f"  {count} x {end}")
    return ends["right"]


@contextlib.asynccontextmanager
async def server(given: str | None, mix: str) -> AsyncGenerator[str, None]:
    """The address of the server: the one given, else one of our own."""
    if given:
        yield given if given.endswith("/v1") else f"{given.rstrip('/')}/v1"
        return
    command = [sys.executable, "-m", "collegium.testing.faulty", "--port", "0", "--mix", mix]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 (nothing else runs yet)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def run(options: argparse.Namespace) -> int:
    """Measure and print; 1 when something is wrong."""
    os.environ["OPENAI_API_KEY"] = os.environ["OPENAI_COMPATIBLE_API_KEY"] = KEY
    shares = ",".join(f"{name}={20 / len(TRANSIENT):.3f}" for name in TRANSIENT)
    mix = options.mix or f"ok=80,{shares}"
    async with server(options.server, mix) as url:
        bench = Bench(url, options.provider, options.deadline)
        if options.agents:
            assert read_mix(mix)
            if options.server:
                await bench.control("POST", "/config", {"mix": mix})
            return int(await agents(bench, url, options.provider, options.agents) < 0.99 * options.agents)
        cases = await matrix(bench, options.fault or list(FAULTS), options.mode or list(MODES))
    print(summary(cases))
    if options.json:
        options.json.write_text(json.dumps([asdict(case) for case in cases], indent=1))
    return int(any(case.wrong for case in cases))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="base address of a server that takes faults as chaos:NAME")
    parser.add_argument("--provider", default="openai-compatible", help="`openai` goes through the SDK")
    parser.add_argument("--deadline", type=float, default=4.0, help="seconds of each call")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this one; may be repeated")
    parser.add_argument("--mode", action="append", choices=MODES, help="only this one; may be repeated")
    parser.add_argument("--agents", type=int, default=0, help="run so many agents in place of the matrix")
    parser.add_argument("--mix", help="name=weight,name=weight… for --agents")
    parser.add_argument("--json", type=Path)
    raise SystemExit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
