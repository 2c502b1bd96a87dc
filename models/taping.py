"""Model calls on a tape: what was asked as the caller asked it, and what came of it, as JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from ..core.context import current_node, current_run
from ..core.messages import ToolCall, Usage
from ..core.tape import Codec, Heard, Tape, came_of, listening, replayed_whole, through
from .base import Behaviour, Capabilities, Completion, ReasoningDelta, StreamEvent, TextDelta, TokenLogprob

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from .backend import Backend, Call


async def answer_on_tape(tape: Tape, model: Backend, call: Call) -> Completion[Any]:
    """The answer of a model, noted; or the one that was noted, without the model.

    Raises:
        CassetteMismatch: The recording holds another call here, or none.
        BackendError: As the model raised it.
    """

    def read(said: dict[str, Any]) -> Completion[Any]:
        return completion_from_json(said, call.output)

    codec = Codec(completion_to_json, read)
    return await through(tape, "model", request_of(call), lambda: model.guarded_answer(call), codec, tell_again)


async def stream_on_tape(tape: Tape, model: Backend, call: Call) -> AsyncGenerator[StreamEvent, None]:
    """The stream of a model, noted as a whole; a replay gives text and reasoning as one piece each.

    Raises:
        CassetteMismatch: The recording holds another call here, or none.
        BackendError: As the model raised it.
    """
    request = {**request_of(call), "stream": True}
    if tape.replaying:
        for event in _streamed(tape, request, call):
            yield event
        return
    events, heard, text = model.guarded_stream(call), Heard(), ""
    came: dict[str, Any] = {}
    try:
        while True:
            with listening(heard):  # not around the yield: an asynchronous generator shares its caller's context
                try:
                    event = await anext(events)
                except StopAsyncIteration:
                    break
            if isinstance(event, Completion):
                came = {"answer": completion_to_json(event)}
            text += event.text if isinstance(event, TextDelta) else ""
            yield event
    except Exception as error:
        came = came_of(error)
        raise
    finally:
        await events.aclose()
        tape.keep("model", request, {**(came or {"broken_off": text}), **({"heard": heard} if heard else {})})


def _streamed(tape: Tape, request: dict[str, Any], call: Call) -> Iterator[StreamEvent]:
    came = replayed_whole(tape, "model", request, tell_again)
    if "broken_off" in came:
        yield TextDelta(came["broken_off"])
        return
    completion = completion_from_json(came["answer"], call.output)
    if completion.reasoning:
        yield ReasoningDelta(completion.reasoning)
    if completion.text:
        yield TextDelta(completion.text)
    yield completion


async def capabilities_on_tape(tape: Tape, name: str, measure: Callable[[], Awaitable[Capabilities]]) -> Capabilities:
    """What a model can do, noted once under a name."""
    if (noted := tape.fact("capabilities", name)) is not None:
        return replace(Capabilities(**noted), behaviour=Behaviour(**noted["behaviour"]))
    if tape.replaying:
        tape.play("capabilities", name)
    found = await measure()
    tape.keep_fact("capabilities", name, asdict(found))
    return found


def tell_again(heard: Heard) -> None:
    """Tell the present run, in a replay, what models told it in the recording."""
    if (run := current_run.get()) is None:
        return
    for said in heard:
        if "usage" in said:
            run.spend(Usage(**said["usage"]), said["model"])
        else:
            run.emit(said["kind"], said["data"], node=current_node.get())


def request_of(call: Call) -> dict[str, Any]:
    """What a call asks, as JSON; how long it may take is no part of it."""
    asked: dict[str, Any] = {"messages": [message.to_wire() for message in call.messages]}
    if call.output is not None:
        asked["output"] = {"name": getattr(call.output, "__name__", str(call.output)), "schema": _schema(call.output)}
    if call.tools:
        asked["tools"] = [dict(tool) for tool in call.tools]
        asked["tool_choice"] = call.tool_choice
    settings = {**call.params.given(), **({"extra": call.params.extra} if call.params.extra else {})}
    if settings:
        asked["params"] = to_jsonable_python(settings, fallback=str)
    return asked


def completion_to_json(completion: Completion[Any]) -> dict[str, Any]:
    """An answer as JSON; what it does not have is left out."""
    said: dict[str, Any] = {"text": completion.text}
    if completion.output is not None:
        said["output"] = to_jsonable_python(completion.output, fallback=str)
    if completion.tool_calls:
        said["tool_calls"] = [asdict(call) for call in completion.tool_calls]
    said |= {"model": completion.model, "finish_reason": completion.finish_reason, "requests": completion.requests}
    said["usage"] = {name: value for name, value in completion.usage.as_dict().items() if value}
    for name in ("reasoning", "rung"):
        if (value := getattr(completion, name)) is not None:
            said[name] = value
    if completion.logprobs:
        said["logprobs"] = [
            [one.token, one.logprob, [list(other) for other in one.others]] for one in completion.logprobs
        ]
    return said


def completion_from_json(said: Mapping[str, Any], output: Any = None) -> Completion[Any]:
    """The answer that `completion_to_json` described; `output` is the type that was asked for."""
    filled = None if output is None else _adapter(output).validate_python(said["output"], strict=False)
    return Completion(
        text=said["text"],
        output=filled,
        tool_calls=tuple(ToolCall(**call) for call in said.get("tool_calls", ())),
        usage=Usage(**said["usage"]),
        model=said["model"],
        finish_reason=said["finish_reason"],
        reasoning=said.get("reasoning"),
        rung=said.get("rung"),
        requests=said["requests"],
        logprobs=tuple(
            TokenLogprob(token, logprob, tuple((str(other), float(p)) for other, p in others))
            for token, logprob, others in said.get("logprobs", ())
        ),
    )


def spec_on_tape(tape: Tape, spec: str) -> str:
    """The spec of the run's model: in a replay, the one that was recorded."""
    if tape.replaying:
        return tape.fact("spec", "run") or spec
    tape.keep_fact("spec", "run", spec)
    return spec


@lru_cache(maxsize=256)
def _adapter(output: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # naming a model loads no pydantic

    return TypeAdapter(output)


def _schema(output: Any) -> dict[str, Any]:
    from pydantic import PydanticSchemaGenerationError

    try:
        return _adapter(output).json_schema()
    except PydanticSchemaGenerationError:
        return {"type": str(output)}
