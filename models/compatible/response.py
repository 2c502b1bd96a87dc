"""Reading a chat completion strictly: whatever a server sends becomes a Completion or a typed error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from ...core.errors import BackendError, BackendUnavailable, OutputRefused, OutputTruncated
from ...core.messages import ToolCall, ToolSpec, Usage
from .._json import as_list, as_object
from ..base import Completion, FinishReason, TokenLogprob
from .failures import Transient, failure_in_body
from .limits import LIMITS, Limits

_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_THINKING = re.compile(r"\A\s*<(think|thinking|reasoning)>(.*?)</\1>\s*", re.DOTALL)
_CALL_TAG = re.compile(r"</?(?:tool_call|tools?|function_call)>")
_CHARACTERS_A_TOKEN = 4
"""A rough figure for English, used only where a server does not count."""


class Reader:
    """Reads the answers of one model.

    Args:
        model: How the model is named in errors.
        reasoning: Fields of a message that carry reasoning, in the order they are tried.
        limits: How much of an answer is believed.
    """

    def __init__(
        self,
        model: str,
        reasoning: Sequence[str] = ("reasoning", "reasoning_content"),
        limits: Limits = LIMITS,
    ) -> None:
        self.limits = limits
        """How much of an answer is believed."""
        self.model = model
        """How the model is named in errors."""
        self.reasoning = tuple(reasoning)

    def loads(self, body: bytes) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            Transient: It is empty, cut or not JSON.
            BackendError: It is JSON of another shape.
        """
        try:
            data: Any = orjson.loads(body)  # refuses bad UTF-8 and deep nesting by itself
        except orjson.JSONDecodeError as error:
            what = "is empty" if not body.strip() else f"is not JSON ({str(error)[:80]})"
            raise Transient(BackendUnavailable(self.model, f"the server's answer {what}.")) from error
        if not isinstance(data, dict):
            raise self.odd(f"is a JSON {type(data).__name__}, not an object")
        return as_object(data)

    def read(self, data: dict[str, Any], asked: int, tools: Sequence[ToolSpec] = ()) -> Completion[None]:
        """The completion in a server's answer.

        Args:
            data: The JSON object.
            asked: Size of the request in characters, to estimate tokens that the server did not count.
            tools: What the model could call; a call written as text is then recognised.

        Raises:
            Transient: The server reports a failure of its own.
            OutputRefused: The model, or a filter, declined.
            BackendError: The object is not a chat completion, or larger than allowed.
        """
        choice = self._choice(data)
        message = choice.get("message")
        if not isinstance(message, dict):
            raise self.odd("has no message in its first choice")
        fields = as_object(message)
        text, thought = self.split(self.content(fields.get("content")))
        calls = self.tool_calls(fields.get("tool_calls"))
        return self.finish(
            text=text,
            calls=calls,
            reasoning=self.thoughts(fields) or thought,
            refusal=fields.get("refusal"),
            finish=choice.get("finish_reason"),
            usage=data.get("usage"),
            model=data.get("model"),
            asked=asked,
            tools=tools,
            logprobs=read_logprobs(choice.get("logprobs")),
        )

    def finish(
        self,
        *,
        text: str,
        calls: tuple[ToolCall, ...],
        reasoning: str | None,
        refusal: Any,
        finish: Any,
        usage: Any,
        model: Any,
        asked: int,
        tools: Sequence[ToolSpec] = (),
        logprobs: tuple[TokenLogprob, ...] = (),
    ) -> Completion[None]:
        """The completion made of parts already read, from a body or from a stream.

        Raises:
            OutputRefused: The model, or a filter, declined.
            OutputTruncated: A tool call was cut at the token limit.
        """
        if isinstance(refusal, str) and refusal and not text:
            raise OutputRefused(self.model, f"the model declined: {refusal[: self.limits.error_characters]}")
        if finish == "content_filter":
            raise OutputRefused(self.model, "a content filter withheld the answer.")
        if calls and finish == "length":
            raise OutputTruncated(self.model, "a tool call was cut at the token limit; raise max_tokens.")
        if tools and not calls and (written := written_call(text, tools)):
            calls, text = (written,), ""
        reason: FinishReason = "tool_calls" if calls else _FINISH.get(str(finish), "other")
        said = len(text) + len(reasoning or "") + sum(len(c.arguments) for c in calls)
        return Completion(
            text=text,
            output=None,
            tool_calls=calls,
            usage=read_usage(usage, asked, said),
            model=model if isinstance(model, str) else "",
            finish_reason=reason,
            reasoning=reasoning,
            logprobs=logprobs,
        )

    def content(self, content: Any) -> str:
        """Text of a message's content: a string, null, or a list of typed parts.

        Raises:
            BackendError: It is something else, or longer than allowed.
        """
        if content is None:
            return ""
        if isinstance(content, list):
            parts = as_list(content)
            content = "".join(_part_text(part) for part in parts)
        if not isinstance(content, str):
            raise self.odd(f"has content of type {type(content).__name__}")
        if len(content) > self.limits.text_characters:
            raise self.odd(f"is longer than {self.limits.text_characters} characters")
        return content

    def thoughts(self, fields: dict[str, Any]) -> str | None:
        """The reasoning that a message or a delta carries beside its content."""
        for name in self.reasoning:
            if isinstance(value := fields.get(name), str) and value:
                return value[: self.limits.text_characters]
        return None

    def split(self, text: str) -> tuple[str, str | None]:
        """Text without the think tags it begins with, and what stood in them."""
        if "<" not in text[:200]:
            return text, None
        found = _THINKING.match(text)
        return (text[found.end() :], found.group(2).strip()) if found else (text, None)

    def tool_calls(self, calls: Any) -> tuple[ToolCall, ...]:
        """The proposed calls, each with an id of its own.

        Raises:
            BackendError: They are not calls, or more or larger than allowed.
        """
        if not calls:
            return ()
        if not isinstance(calls, list):
            raise self.odd("has tool_calls that are not a list")
        items = as_list(calls)
        if len(items) > self.limits.tool_calls:
            raise self.odd(f"proposes {len(items)} tool calls; at most {self.limits.tool_calls} are read")
        seen: set[str] = set()
        return tuple(self._tool_call(item, n, seen) for n, item in enumerate(items))

    def odd(self, what: str) -> BackendError:
        """The error for an answer of the wrong shape."""
        return BackendUnavailable(self.model, f"the server's answer {what}; it is not a chat completion.")

    def _choice(self, data: dict[str, Any]) -> dict[str, Any]:
        choices = data.get("choices")
        if not choices and data.get("error"):
            raise failure_in_body(self.model, data)
        if not isinstance(choices, list) or not choices:
            raise self.odd("has no choices")
        first: Any = as_list(choices)[0]
        if not isinstance(first, dict):
            raise self.odd("has a choice that is not an object")
        return as_object(first)

    def _tool_call(self, item: Any, number: int, seen: set[str]) -> ToolCall:
        fields = as_object(item)
        function = fields.get("function")
        parts = as_object(function)
        name, arguments = parts.get("name"), parts.get("arguments")
        if not isinstance(name, str) or not name:
            raise self.odd("proposes a tool call without a name")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if not isinstance(arguments, str):
            arguments = ""
        if len(arguments) > self.limits.argument_characters:
            raise self.odd(f"proposes arguments longer than {self.limits.argument_characters} characters")
        return ToolCall(unique_id(fields.get("id"), number, seen), name, arguments)


def unique_id(given: Any, number: int, seen: set[str]) -> str:
    """The call's id if it has one of its own, else one made from its place in the turn."""
    call_id = given if isinstance(given, str) and given and given not in seen else f"call_{number}"
    while call_id in seen:
        call_id += "_"
    seen.add(call_id)
    return call_id


def read_usage(usage: Any, asked: int, said: int) -> Usage:
    """Tokens as the server counts them; estimated from the characters where it does not, or wrongly."""
    fields = as_object(usage)
    counted_in, counted_out = _count(fields.get("prompt_tokens")), _count(fields.get("completion_tokens"))
    return Usage(
        input_tokens=-(-asked // _CHARACTERS_A_TOKEN) if counted_in is None else counted_in,
        output_tokens=-(-said // _CHARACTERS_A_TOKEN) if counted_out is None else counted_out,
        cached_tokens=_detail(fields.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_detail(fields.get("completion_tokens_details"), "reasoning_tokens"),
        model_calls=1,
    )


def read_logprobs(logprobs: Any) -> tuple[TokenLogprob, ...]:
    """The tokens of a choice's `logprobs`; what has another shape is left out."""
    found: list[TokenLogprob] = []
    for item in as_list(as_object(logprobs).get("content")):
        if pair := _pair(item):
            others = (_pair(other) for other in as_list(as_object(item).get("top_logprobs")))
            found.append(TokenLogprob(*pair, tuple(other for other in others if other)))
    return tuple(found)


def _pair(item: Any) -> tuple[str, float] | None:
    token, logprob = (as_object(item).get(name) for name in ("token", "logprob"))
    return (token, float(logprob)) if isinstance(token, str) and isinstance(logprob, (int, float)) else None


def written_call(text: str, tools: Sequence[ToolSpec]) -> ToolCall | None:
    """A call that a model wrote as text, `{"name": …, "arguments": {…}}`, in place of the server's field.

    Only the whole text counts, and only the name of a tool that was offered.
    """
    bare = _CALL_TAG.sub("", text).strip()
    bare = bare.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if not (bare.startswith("{") and bare.endswith("}")) or len(bare) > LIMITS.argument_characters:
        return None
    try:
        data: Any = orjson.loads(bare)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(data, dict):
        return None
    fields = as_object(data)
    name, arguments = fields.get("name"), fields.get("arguments", fields.get("parameters"))
    if not isinstance(arguments, dict) or not any(tool["name"] == name for tool in tools):
        return None
    return ToolCall("call_0", str(name), orjson.dumps(arguments).decode())


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    fields = as_object(part)
    text = fields.get("text")
    return text if isinstance(text, str) and fields.get("type", "text") in ("text", "output_text") else ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _detail(details: Any, name: str) -> int:
    fields = as_object(details)
    return _count(fields.get(name)) or 0
