"""Models that answer from a list or from a function, and keep what they were asked."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from ..core.context import current_node
from ..core.errors import InvalidOutput, OutOfAnswers
from ..core.messages import Message, ToolCall, ToolSpec, Usage
from ..models.backend import Backend, Call, ask_leave, is_watched, leave, report, tell
from ..models.base import Capabilities, Completion, Params, PartialOutput, StreamEvent, TextDelta, ToolChoice

Reply = object
"""What a scripted model may say: text, a pydantic object (or any value of the type asked for), a ToolCall
or several, a Message, a Completion, an Exception to raise, or a function of the messages that returns
one of these (it may be async)."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call that a scripted model received."""

    messages: tuple[Message, ...]
    output: Any
    """The type asked for, or None."""
    tools: tuple[ToolSpec, ...]
    tool_choice: ToolChoice
    params: Params
    role: str | None
    """The node that called, or None outside a graph."""

    @property
    def prompt(self) -> str:
        """All messages as text, one after the other."""
        return "\n\n".join(m.content for m in self.messages)


class _Scripted(Backend):
    def __init__(self, spec: str, capabilities: Capabilities | None) -> None:
        self._spec = spec
        self._capabilities = capabilities or Capabilities()
        self.calls: list[ModelCall] = []
        """What was asked, in order."""

    @property
    def spec(self) -> str:
        """What names this model."""
        return self._spec

    async def capabilities(self) -> Capabilities:
        """As given, else those of a capable model."""
        return self._capabilities

    def _next(self, call: ModelCall) -> Reply:
        raise NotImplementedError

    async def answer(self, call: Call) -> Completion[Any]:
        """The next answer, validated and counted like a real one."""
        async with leave(self._spec, call) as call:
            completion = await self._completion(call)
            if call.output is None and is_watched():
                for piece in _pieces(completion.text):
                    tell("text_delta", {"text": piece})
            report(self._spec, completion, 0.0)
        return completion

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The next answer word by word."""
        async with leave(self._spec, call) as call:
            completion = await self._completion(call)
            if call.output is not None:
                yield PartialOutput(from_json(to_json(completion.output)))
            for piece in _pieces(completion.text) if call.output is None else ():
                tell("text_delta", {"text": piece})
                yield TextDelta(piece)
            report(self._spec, completion, 0.0)
        yield completion

    async def _completion(self, call: Call) -> Completion[Any]:
        seen = ModelCall(call.messages, call.output, call.tools, call.tool_choice, call.params, current_node.get())
        await ask_leave(call)
        self.calls.append(seen)
        said = self._next(seen)
        if callable(said) and not isinstance(said, type):
            said = cast(Callable[[Sequence[Message]], Reply], said)(call.messages)
        if inspect.isawaitable(said):
            said = await said
        return self._read(said, seen)

    def _read(self, said: Reply, call: ModelCall) -> Completion[Any]:
        if isinstance(said, Exception):
            raise said
        if isinstance(said, Completion):
            return said  # pyright: ignore[reportUnknownVariableType]  (its type argument is erased)
        calls = _tool_calls(said)
        if isinstance(said, Message):
            said = said.content
        text = "" if calls and not isinstance(said, str) else _as_text(said)
        made: Completion[Any] = Completion(
            text=text,
            output=None,
            tool_calls=calls,
            usage=_usage(call.messages, text, calls),
            model=self._spec,
            finish_reason="tool_calls" if calls else "stop",
        )
        if call.output is None:
            return made
        return replace(made, output=_as_output(self._spec, said, call.output), rung="json_schema")


class ScriptedModel(_Scripted):
    """Answers from a list, in order.

    Args:
        answers: See `Reply`. When a type is asked for, text is read as JSON of that type.
        spec: The name it goes by.
        capabilities: What it says it can do; default: everything.

    Raises:
        OutOfAnswers: It was called more often than it has answers.
        InvalidOutput: An answer is not a value of the type asked for.
    """

    def __init__(
        self, answers: Iterable[Reply], *, spec: str = "scripted", capabilities: Capabilities | None = None
    ) -> None:
        super().__init__(spec, capabilities)
        self._answers = list(answers)

    @property
    def left(self) -> int:
        """How many answers were not asked for yet."""
        return max(0, len(self._answers) - len(self.calls))

    def _next(self, call: ModelCall) -> Reply:
        if len(self.calls) > len(self._answers):
            raise OutOfAnswers(len(self._answers), call.role or "", call.prompt[-200:])
        return self._answers[len(self.calls) - 1]


class FunctionModel(_Scripted):
    """Answers from a function of the whole `ModelCall`: messages, output type, tools, role.

    Args:
        function: Returns an `Reply`; may be async.
        spec: The name it goes by.
        capabilities: What it says it can do; default: everything.
    """

    def __init__(
        self,
        function: Callable[[ModelCall], Reply],
        *,
        spec: str = "function",
        capabilities: Capabilities | None = None,
    ) -> None:
        super().__init__(spec, capabilities)
        self._function = function

    def _next(self, call: ModelCall) -> Reply:
        return self._function(call)


def _tool_calls(said: Reply) -> tuple[ToolCall, ...]:
    if isinstance(said, Message):
        return said.tool_calls
    if isinstance(said, ToolCall):
        return (said,)
    if isinstance(said, (list, tuple)):
        items = cast(Sequence[object], said)
        return tuple(item for item in items if isinstance(item, ToolCall))
    return ()


def _as_text(said: Reply) -> str:
    if isinstance(said, str):
        return said
    return to_json(said).decode()


def _as_output(spec: str, said: Reply, output: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(output)
    try:
        return adapter.validate_json(said) if isinstance(said, str) else adapter.validate_python(said)
    except ValidationError as error:
        name = getattr(output, "__name__", str(output))
        raise InvalidOutput(spec, f"the scripted answer {said!r:.200} is not a valid {name}: {error}") from error


def _usage(messages: Sequence[Message], text: str, calls: Sequence[ToolCall]) -> Usage:
    asked = sum(len(m.content.split()) for m in messages)
    said = len(text.split()) + sum(len(c.arguments.split()) + 1 for c in calls)
    return Usage(input_tokens=asked, output_tokens=said, model_calls=1)


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [w if i == 0 else f" {w}" for i, w in enumerate(words)] if text else []
