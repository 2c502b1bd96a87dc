"""Reading a streamed chat completion: server-sent events in, deltas and one whole Completion out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from ...core.errors import BackendUnavailable
from ...core.messages import ToolCall, ToolSpec
from .._json import as_list, as_object
from ..base import Completion, ReasoningDelta, TextDelta, TokenLogprob, ToolCallDelta
from .failures import Transient, failure_in_body
from .response import Reader, read_logprobs, unique_id

Spoken = TextDelta | ReasoningDelta
Delta = Spoken | ToolCallDelta
_OPEN_TAGS = ("<think>", "<thinking>", "<reasoning>")
_DONE = b"[DONE]"


class EventSplitter:
    """Cuts a byte stream into the data of its events; comments and other fields are skipped."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._total = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of every event that the chunk completes.

        Raises:
            BackendError: An event, or the stream, is larger than allowed.
        """
        self._total += len(chunk)
        if self._total > self._reader.limits.body_bytes * 8:  # events repeat the head of the answer around every word
            raise self._reader.odd("is a stream that does not end within the size allowed")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > self._reader.limits.event_bytes:
            raise self._reader.odd("holds an event larger than allowed")
        for line in lines:
            if data := self._line(line.rstrip(b"\r")):
                yield data

    def _line(self, line: bytes) -> bytes | None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
            if self._size > self._reader.limits.event_bytes:
                raise self._reader.odd("holds an event larger than allowed")
        elif not line and self._data:
            data, self._data, self._size = b"\n".join(self._data), [], 0
            return data
        return None


class ThinkFilter:
    """Tells text from the reasoning that some models put into think tags before it."""

    def __init__(self) -> None:
        self._held = ""
        self._closing: str | None = None
        self._settled = False

    def feed(self, text: str) -> list[Spoken]:
        """The deltas that are certain so far."""
        if self._settled:
            return [TextDelta(text)] if text else []
        self._held += text
        if self._closing is None and not self._find_tag():
            return []
        if self._settled:
            return self.flush()
        return self._thought()

    def flush(self) -> list[Spoken]:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [ReasoningDelta(held) if self._closing and not self._settled else TextDelta(held)]

    def _find_tag(self) -> bool:
        """Whether it is settled if the text begins with a tag."""
        start = self._held.lstrip()
        for tag in _OPEN_TAGS:
            if start.startswith(tag):
                self._closing, self._held = tag.replace("<", "</"), start[len(tag) :]
                return True
        self._settled = not any(tag.startswith(start) for tag in _OPEN_TAGS)
        return self._settled

    def _thought(self) -> list[Spoken]:
        thought, closing, text = self._held.partition(cast(str, self._closing))
        if closing:
            self._settled, self._held = True, text.lstrip()
            return [*([ReasoningDelta(thought)] if thought else []), *self.flush()]
        keep = len(cast(str, self._closing)) - 1  # the closing tag may be cut between two events
        self._held = thought[-keep:] if len(thought) > keep else thought
        given = thought[: len(thought) - len(self._held)]
        return [ReasoningDelta(given)] if given else []


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class Assembly:
    """Puts the events of one stream together.

    Args:
        reader: Reads what events and whole answers share.
        asked: Size of the request in characters.
        tools: What the model could call.
    """

    def __init__(self, reader: Reader, asked: int, tools: Sequence[ToolSpec] = ()) -> None:
        self._reader, self._asked, self._tools = reader, asked, tools
        self._filter = ThinkFilter()
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._refusal = ""
        self._size = 0
        self._calls: dict[int, _Call] = {}
        self._finish: Any = None
        self._logprobs: list[TokenLogprob] = []
        self._usage: Any = None
        self._model: Any = None
        self.done = False
        """Whether the end mark was seen."""

    def add(self, data: bytes) -> list[Delta]:
        """The deltas that one event brings.

        Raises:
            Transient: The event is broken, or reports a failure of the server.
            BackendError: It has another shape, or the answer is larger than allowed.
        """
        if data.strip() == _DONE:
            self.done = True
            return []
        event = self._loads(data)
        if event.get("error"):
            raise failure_in_body(self._reader.model, event)
        self._usage = event.get("usage") or self._usage
        self._model = event.get("model") or self._model
        choices = event.get("choices")
        if not choices:
            return []
        first = next(iter(as_list(choices)), None)
        if not isinstance(first, dict):
            raise self._reader.odd("holds an event whose choices are not a list of objects")
        return self._choice(as_object(first))

    def end(self) -> list[Delta]:
        """The deltas that were held back."""
        return [*self._keep(self._filter.flush())]

    def completion(self) -> Completion[None]:
        """The whole answer; call `end` first.

        Some services never give a finish reason: the final count of tokens and the end mark together then
        show that the answer is whole.

        Raises:
            Transient: The stream ended before the answer did.
            BackendError: As `Reader.finish`.
        """
        if self._finish is None and not (self.done and self._usage):
            raise Transient(BackendUnavailable(self._reader.model, "the stream ended before the answer was whole."))
        seen: set[str] = set()
        calls = tuple(
            ToolCall(unique_id(c.call_id, n, seen), self._named(c), c.arguments)
            for n, (_, c) in enumerate(sorted(self._calls.items()))
        )
        return self._reader.finish(
            text="".join(self._text),
            calls=calls,
            reasoning="".join(self._thoughts) or None,
            refusal=self._refusal,
            finish=self._finish,
            usage=self._usage,
            model=self._model,
            asked=self._asked,
            tools=self._tools,
            logprobs=tuple(self._logprobs),
        )

    def _loads(self, data: bytes) -> dict[str, Any]:
        try:
            event: Any = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Transient(BackendUnavailable(self._reader.model, "an event of the stream is not JSON.")) from error
        if not isinstance(event, dict):
            raise self._reader.odd("holds an event that is not an object")
        return as_object(event)

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        self._finish = choice.get("finish_reason") or self._finish
        self._logprobs += read_logprobs(choice.get("logprobs"))
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return []
        fields = as_object(delta)
        if isinstance(refusal := fields.get("refusal"), str):
            self._refusal += refusal
        calls = self._add_calls(fields.get("tool_calls"))
        thought = self._reader.thoughts(fields)
        given: list[Spoken] = [ReasoningDelta(thought)] if thought else []
        if content := self._reader.content(fields.get("content")):
            given += self._filter.feed(content)
        return [*self._keep(given), *calls]

    def _keep(self, deltas: list[Spoken]) -> list[Spoken]:
        for delta in deltas:
            (self._text if isinstance(delta, TextDelta) else self._thoughts).append(delta.text)
            self._size += len(delta.text)
        if self._size > self._reader.limits.text_characters:
            raise self._reader.odd(f"is longer than {self._reader.limits.text_characters} characters")
        return deltas

    def _add_calls(self, pieces: Any) -> list[ToolCallDelta]:
        items = enumerate(as_list(pieces)) if pieces else ()
        return [self._add_call(as_object(piece), place) for place, piece in items if isinstance(piece, dict)]

    def _add_call(self, piece: dict[str, Any], place: int) -> ToolCallDelta:
        index = given if isinstance(given := piece.get("index"), int) else place
        call = self._calls.setdefault(index, _Call())
        begun = not call.name
        if len(self._calls) > self._reader.limits.tool_calls:
            raise self._reader.odd(f"proposes more than {self._reader.limits.tool_calls} tool calls")
        if isinstance(call_id := piece.get("id"), str) and call_id:
            call.call_id = call_id
        function = piece.get("function")
        fields = as_object(function)
        if isinstance(name := fields.get("name"), str) and name and not call.name:
            call.name = name
        arguments = fields.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        added = arguments if isinstance(arguments, str) else ""
        call.arguments += added
        if len(call.arguments) > self._reader.limits.argument_characters:
            raise self._reader.odd(
                f"proposes arguments longer than {self._reader.limits.argument_characters} characters"
            )
        return ToolCallDelta(index, call.name if begun else "", added)

    def _named(self, call: _Call) -> str:
        if not call.name:
            raise self._reader.odd("proposes a tool call without a name")
        return call.name
