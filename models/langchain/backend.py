"""A LangChain chat model behind our own contract."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, cast

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk

from ...core.errors import (
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    CollegiumError,
    InvalidOutput,
    OutputRefused,
    OutputTruncated,
    UnsupportedParameter,
)
from ...core.messages import ToolSpec
from ..backend import Backend, Call, ask_leave, leave, report
from ..base import Capabilities, Completion, Params, Rung, StreamEvent, TextDelta
from ..structured import FormatRefused, Ladder
from .wording import calls_of, finish_of, text_of, to_langchain, usage_of

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict", "max_new_tokens"),
    "seed": ("seed",),
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
    "repetition_penalty": ("repetition_penalty", "repeat_penalty"),
    "reasoning_effort": ("reasoning_effort",),
}
"""Our settings, and the fields by which LangChain's classes know them."""


class LangChainModel(Backend):
    """See `from_langchain`."""

    def __init__(self, chat: BaseChatModel, capabilities: Capabilities | None = None) -> None:
        self._chat = chat
        self._calls_tools = _overrides(chat, "bind_tools")
        rung: Rung = "json_schema" if _overrides(chat, "with_structured_output") else "tool"
        start: Rung = rung if rung == "json_schema" or self._calls_tools else "prompt"
        self._capabilities = capabilities or Capabilities(structured=start, tools=self._calls_tools)
        self._ladder = Ladder(self.spec, hosted=True)

    @property
    def spec(self) -> str:
        """`langchain:` and the name of the model, or of its class."""
        chat: Any = self._chat
        name = next((getattr(chat, field, None) for field in ("model_name", "model", "model_id")), None)
        return f"langchain:{name if isinstance(name, str) and name else type(chat).__name__}"

    async def capabilities(self) -> Capabilities:
        """As given, else as its class tells."""
        return self._capabilities

    async def answer(self, call: Call) -> Completion[Any]:
        """One whole answer.

        Raises:
            BackendError: It failed, or its answer is of no use.
        """
        async with leave(self.spec, call) as allowed, self._explained(call.timeout_s):
            allowed = self._takeable(allowed, call.params)
            if allowed.output is None:
                return await self._ask(allowed, None)
            return await self._ladder.descend(
                allowed, self._capabilities.structured, self._capabilities.level, self._ask
            )

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes.

        Raises:
            BackendError: It failed, or its answer is of no use.
        """
        if call.output is not None:
            yield await self.answer(call)
            return
        async with leave(self.spec, call) as allowed, self._explained(call.timeout_s):
            allowed = self._takeable(allowed, call.params)
            await ask_leave(allowed)
            began, whole = time.perf_counter(), AIMessageChunk(content="")
            chunks = self._bound(allowed).astream(to_langchain(allowed.messages), **self._stops(allowed.params))
            async for chunk in chunks:
                whole = cast(AIMessageChunk, whole + chunk)
                if piece := text_of(chunk):
                    yield TextDelta(piece)
            yield self._completion(whole, began, answers_tools=bool(allowed.tools))

    def _takeable(self, allowed: Call, given: Params) -> Call:
        """The call without the budget's limit on its answer, where the chat model has no field for one."""
        limited = any(field in type(self._chat).model_fields for field in _FIELDS["max_tokens"])
        return allowed if limited or given.max_tokens is not None else replace(allowed, params=given)

    async def _ask(self, call: Call, form: Mapping[str, Any] | None) -> Completion[None]:
        await ask_leave(call)
        began, messages, stops = time.perf_counter(), to_langchain(call.messages), self._stops(call.params)
        if form is not None and form["type"] == "json_schema":
            schema: dict[str, Any] = form["json_schema"]["schema"]
            named = {"description": "The answer.", **schema, "title": form["json_schema"]["name"]}
            filled: Any = self._settled(call.params).with_structured_output(named, include_raw=True)
            came = await filled.ainvoke(messages, **stops)
            return self._filled(came, began)
        said = await self._bound(call).ainvoke(messages, **stops)
        return self._completion(cast(AIMessage, said), began, answers_tools=bool(call.tools))

    def _filled(self, came: Mapping[str, Any], began: float) -> Completion[None]:
        raw = cast(AIMessage, came["raw"])
        completion = self._completion(raw, began, answers_tools=True)
        text = completion.text
        if came.get("parsed") is not None:
            parsed = came["parsed"]
            text = json.dumps(parsed if isinstance(parsed, dict) else parsed.model_dump(mode="json"))
        elif completion.tool_calls:
            text = completion.tool_calls[0].arguments
        reason = "stop" if completion.finish_reason == "tool_calls" else completion.finish_reason
        return Completion(text=text, output=None, usage=completion.usage, model=completion.model, finish_reason=reason)

    def _completion(self, said: AIMessage, began: float, *, answers_tools: bool) -> Completion[None]:
        text, calls, reason = text_of(said), calls_of(said), finish_of(said)
        named = said.response_metadata.get("model_name") or said.response_metadata.get("model")
        completion: Completion[None] = Completion(
            text=text,
            output=None,
            tool_calls=calls,
            usage=usage_of(said),
            model=str(named or self.spec),
            finish_reason=reason,
        )
        report(self.spec, completion, time.perf_counter() - began)
        refusal = said.additional_kwargs.get("refusal")
        if refusal or reason == "content_filter":
            raise OutputRefused(self.spec, str(refusal or "the provider withheld the answer."))
        if calls and not answers_tools:
            raise InvalidOutput(self.spec, f"it calls {calls[0].name!r}, which nobody offered.")
        if not text and not calls:
            problem = "it was cut before its first word" if reason == "length" else "it is empty"
            raise (OutputTruncated if reason == "length" else InvalidOutput)(
                self.spec, f"the answer is of no use: {problem}."
            )
        return completion

    def _bound(self, call: Call) -> Any:
        chat = self._settled(call.params)
        if not call.tools or call.tool_choice == "none":
            return chat.bind(**call.params.extra) if call.params.extra else chat
        if not self._calls_tools:
            raise BackendRejected(self.spec, "this chat model has no bind_tools, so it cannot be offered tools.")
        choice = {"auto": None, "required": "any"}.get(call.tool_choice, call.tool_choice)
        chosen = {} if choice is None else {"tool_choice": choice}
        return chat.bind_tools([_tool(tool) for tool in call.tools], **chosen, **call.params.extra)

    def _settled(self, params: Params) -> BaseChatModel:
        """The chat model with the settings that a call asks for."""
        fields: Mapping[str, Any] = type(self._chat).model_fields
        wanted = {name: value for name, value in params.given().items() if name != "stop"}
        changed: dict[str, Any] = {}
        for name, value in wanted.items():
            known = next((field for field in _FIELDS.get(name, ()) if field in fields), None)
            if known is None:
                taken = [ours for ours, theirs in _FIELDS.items() if any(field in fields for field in theirs)]
                raise UnsupportedParameter(self.spec, name, [*taken, "stop"])
            changed[known] = value
        return self._chat.model_copy(update=changed) if changed else self._chat

    def _stops(self, params: Params) -> dict[str, Any]:
        return {"stop": list(params.stop)} if params.stop else {}

    @asynccontextmanager
    async def _explained(self, timeout_s: float | None) -> AsyncGenerator[None]:
        """Whatever the chat model's own library raises becomes an error of our tree."""
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                yield
        except CollegiumError:
            raise
        except TimeoutError as error:
            waited = f"within {timeout_s:g} s" if limit.expired() and timeout_s else "in the time of its own client"
            raise BackendTimeout(self.spec, f"no answer came {waited}.") from error
        except Exception as error:  # any library may stand behind a chat model
            from langgraph.errors import GraphBubbleUp

            if isinstance(error, GraphBubbleUp):
                raise
            raise self._error(error) from error

    def _error(self, error: Exception) -> BackendError:
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
        said = f"{type(error).__name__}: {error}"[:500]
        if isinstance(error, NotImplementedError):
            return FormatRefused(self.spec, "this chat model does not do that.")
        if isinstance(status, int) and 400 <= status < 500 and status not in (401, 403, 408, 429):
            return BackendRejected(self.spec, said)
        if isinstance(status, int) or isinstance(error, OSError) or "connection" in type(error).__name__.lower():
            return BackendUnavailable(self.spec, said)
        return BackendError(self.spec, said)


def _overrides(chat: BaseChatModel, name: str) -> bool:
    return getattr(type(chat), name) is not getattr(BaseChatModel, name)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {"type": "function", "function": dict(tool)}
