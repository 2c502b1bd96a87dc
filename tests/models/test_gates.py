"""The gate before a server: circuit, waits, slots and rates, shared by every model of the process."""

import asyncio
import pickle
from typing import Any

import pytest
from aiohttp import web

from collegium.core.errors import BackendError, BackendRejected, BackendUnavailable, CircuitOpen
from collegium.core.messages import user
from collegium.models import Limits, Params, limit_server, model
from collegium.models.compatible.effort import Effort
from collegium.models.compatible.failures import Transient
from collegium.models.compatible.gates import Circuit, Gate, Slots, Window, gate_of
from collegium.testing.serving import ChatServer, completion, failure

ASK = [user("hello")]
ONCE = Limits(attempts=1)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def broken(busy: bool = False, wait_s: float | None = None) -> Transient:
    return Transient(BackendUnavailable("m", "HTTP 500"), wait_s, busy=busy)


async def through(gate: Gate, clock: Clock, error: BaseException | None = None, limit_s: float = 900) -> None:
    async with gate.passing("m", Effort.of(limit_s), 10, clock.sleep):
        if error:
            raise error


async def test_a_circuit_opens_after_ten_failures_in_a_row_and_half_opens_after_its_pause() -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(Circuit.opens_after):
        with pytest.raises(Transient):
            await through(gate, clock, broken())
    with pytest.raises(CircuitOpen, match="failed 10 times in a row and is asked again in 5.0 s: HTTP 500"):
        await through(gate, clock)
    clock.now += Circuit.pause_s
    trial = gate.passing("m", Effort.of(9), 10, clock.sleep)
    await trial.__aenter__()
    with pytest.raises(CircuitOpen):  # one request tries, the others wait for what it finds
        await through(gate, clock)
    await trial.__aexit__(None, None, None)
    await through(gate, clock)


async def test_a_trial_that_fails_doubles_the_pause() -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(Circuit.opens_after):
        with pytest.raises(Transient):
            await through(gate, clock, broken())
    clock.now += Circuit.pause_s
    with pytest.raises(Transient):
        await through(gate, clock, broken())
    with pytest.raises(CircuitOpen) as caught:
        await through(gate, clock)
    assert caught.value.retry_in_s == 2 * Circuit.pause_s


async def test_a_trial_that_is_cancelled_lets_another_try() -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(Circuit.opens_after):
        with pytest.raises(Transient):
            await through(gate, clock, broken())
    clock.now += Circuit.pause_s
    with pytest.raises(asyncio.CancelledError):
        await through(gate, clock, asyncio.CancelledError())
    await through(gate, clock)


@pytest.mark.parametrize("spared", [broken(busy=True), BackendRejected("m", "no"), asyncio.CancelledError()])
async def test_a_server_that_answers_or_is_left_is_not_shut_out(spared: BaseException) -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(3 * Circuit.opens_after):
        with pytest.raises(type(spared)):
            await through(gate, clock, spared)
    await through(gate, clock)


async def test_a_deadline_that_passes_counts_as_a_failure_but_not_in_a_great_hurry() -> None:
    clock = Clock()
    gate = Gate(clock)
    for limit_s in (0.1, 5.0):
        assert not gate.circuit.open
        for _ in range(Circuit.opens_after):
            with pytest.raises(TimeoutError):
                await through(gate, clock, TimeoutError(), limit_s)
    assert gate.circuit.open


async def test_the_circuit_is_one_for_all_models_of_a_server_and_nothing_is_sent() -> None:
    async with ChatServer(failure(500)) as server:
        one, other = (model(f"vllm:{name}@{server.url}", limits=ONCE) for name in "ab")
        for _ in range(Circuit.opens_after):
            with pytest.raises(BackendUnavailable, match="HTTP 500"):
                await one.complete(ASK)
        with pytest.raises(CircuitOpen) as caught:
            await other.complete(ASK)
        with pytest.raises(CircuitOpen):
            await anext(other.stream(ASK))
    assert len(server.requests) == Circuit.opens_after
    assert caught.value.requests == 0
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


async def test_errors_and_answers_tell_how_many_requests_were_sent() -> None:
    async with ChatServer(failure(503, retry_after="0"), completion("x")) as server:
        assert (await model(f"vllm:m@{server.url}").complete(ASK)).requests == 2
    async with ChatServer(failure(503, retry_after="0")) as server:
        with pytest.raises(BackendUnavailable) as caught:
            await model(f"vllm:m@{server.url}", limits=Limits(attempts=3)).complete(ASK)
        assert caught.value.requests == len(server.requests) == 3
    async with ChatServer(completion("no"), completion('{"a": 1}')) as server:
        done = await model(f"vllm:m@{server.url}").complete(ASK, output=dict[str, int])
        assert done.requests == len(server.requests) == 2


async def test_the_wait_that_a_server_asks_for_holds_for_other_calls_of_the_model_too() -> None:
    clock = Clock()
    gate = Gate(clock)
    with pytest.raises(Transient):
        await through(gate, clock, broken(busy=True, wait_s=30))
    with pytest.raises(BackendUnavailable, match="asked to wait 30 s, which is past the deadline"):
        await through(gate, clock, limit_s=10)
    await through(gate, clock)
    assert 130.0 <= clock.now <= 130.25


async def test_no_more_requests_are_open_at_once_than_the_server_is_given() -> None:
    open_now, most, go, full = 0, 0, asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if open_now == 3:
            full.set()
        await go.wait()
        open_now -= 1
        return web.json_response(completion("x"))

    async with ChatServer(slow) as server:
        limit_server(f"vllm:m@{server.url}", concurrency=3)
        models = [model(f"vllm:m{n}@{server.url}") for n in range(4)]
        calls = [asyncio.create_task(one.complete(ASK)) for one in models for _ in range(5)]
        await asyncio.wait_for(full.wait(), 20)
        calls[-1].cancel()
        go.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
    assert most == 3
    assert sum(isinstance(one, asyncio.CancelledError) for one in done) == 1
    assert len(server.requests) == 19


async def test_a_slot_that_comes_at_the_moment_of_cancelling_is_handed_on() -> None:
    slots = Slots(1)
    await slots.take()
    first, second = (asyncio.create_task(slots.take()) for _ in range(2))
    await asyncio.sleep(0)
    slots.give()
    first.cancel()
    await asyncio.wait_for(second, 5)
    with pytest.raises(asyncio.CancelledError):
        await first


def test_slots_pass_from_one_event_loop_to_another() -> None:
    slots = Slots(1)
    order: list[str] = []

    async def use(name: str) -> None:
        await slots.take()
        order.append(name)

    async def hold() -> None:
        await use("first")
        other = asyncio.create_task(asyncio.to_thread(asyncio.run, use("second")))
        third = asyncio.create_task(use("third"))
        await asyncio.sleep(0)
        slots.give()
        await asyncio.wait({other, third}, return_when=asyncio.FIRST_COMPLETED)
        slots.give()
        await asyncio.gather(other, third)

    asyncio.run(hold())
    assert order[0] == "first"
    assert sorted(order[1:]) == ["second", "third"]


def test_a_window_lets_no_more_through_in_any_minute() -> None:
    clock = Clock()
    window = Window(3, clock)
    due = [window.book(1).at - 100 for _ in range(7)]
    assert due == [0, 0, 0, 60, 60, 60, 120]
    clock.now += 500
    assert window.wait_s(window.book(1)) == 0


def test_a_window_counts_what_was_used_in_place_of_the_guess() -> None:
    clock = Clock()
    window = Window(100, clock)
    window.book(90).amount = 20
    assert window.wait_s(window.book(80)) == 0
    assert window.wait_s(window.book(1)) == 60
    assert window.wait_s(window.book(500)) == 120  # more than fits goes alone


async def test_a_rate_whose_turn_lies_past_the_deadline_is_refused_at_once() -> None:
    async with ChatServer(completion("x")) as server:
        limit_server(f"vllm:m@{server.url}", requests_per_minute=1)
        llm = model(f"vllm:m@{server.url}")
        await llm.complete(ASK, timeout_s=5)
        with pytest.raises(BackendUnavailable, match="limit of requests a minute asks to wait"):
            await llm.complete(ASK, timeout_s=5)
        limit_server(f"vllm:m@{server.url}", tokens_per_minute=50)
        await llm.complete(ASK, params=Params(max_tokens=40), timeout_s=5)
        with pytest.raises(BackendUnavailable, match="limit of tokens a minute asks to wait"):
            await llm.complete(ASK, params=Params(max_tokens=40), timeout_s=5)
    assert len(server.requests) == 2


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"requests_per_minute": -1}])
def test_a_limit_below_one_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="at least 1"):
        limit_server("vllm:m", **wrong)


def test_two_servers_have_two_gates() -> None:
    assert gate_of("http://a/v1") is gate_of("http://a/v1")
    assert gate_of("http://a/v1") is not gate_of("http://b/v1")


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"timeout_s": -1.0}])
def test_limits_are_above_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="not above 0"):
        Limits(**wrong)


def test_a_backend_error_counts_no_request_by_itself() -> None:
    assert BackendError("m", "p").requests == 0
