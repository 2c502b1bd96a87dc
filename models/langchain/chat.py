"""One of our models behind LangChain's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from ...core.blocking import run_blocking
from ...core.messages import ToolSpec
from ..base import Completion, Params, TextDelta
from .wording import ai_message, from_langchain_messages, usage_metadata

_CHOICES = {"any": "required", "required": "required", "auto": "auto", "none": "none", True: "required", False: "none"}


class CollegiumChat(BaseChatModel):
    """See `as_langchain`."""

    llm: Any
    """The Model."""

    @property
    def _llm_type(self) -> str:
        return "collegium"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"spec": self.llm.spec}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools that it may propose to call."""
        specs = [convert_to_openai_tool(tool)["function"] for tool in tools]
        return self.bind(tools=specs, tool_choice=tool_choice, **kwargs)

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Values of a type, valid and repaired as everywhere; a JSON Schema goes through a forced tool."""
        if isinstance(schema, dict):
            return super().with_structured_output(schema, include_raw=include_raw)

        async def fill(given: LanguageModelInput) -> Any:
            asked = from_langchain_messages(self._convert_input(given).to_messages())
            completion: Completion[Any] = await self.llm.complete(asked, output=schema)
            parsed = completion.output
            return {"raw": _message(completion), "parsed": parsed, "parsing_error": None} if include_raw else parsed

        def fill_now(given: LanguageModelInput) -> Any:
            return run_blocking(fill(given), door="invoke")

        return cast("Runnable[LanguageModelInput, Any]", RunnableLambda(fill_now, afunc=fill))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return run_blocking(self._agenerate(messages, stop, None, **kwargs), door="invoke")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        completion = await self.llm.complete(from_langchain_messages(messages), **_asked(stop, kwargs))
        return ChatResult(generations=[ChatGeneration(message=_message(completion))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        streamed = ""
        async for event in self.llm.stream(from_langchain_messages(messages), **_asked(stop, kwargs)):
            if isinstance(event, TextDelta):
                streamed += event.text
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=event.text))
                if run_manager:
                    await run_manager.on_llm_new_token(event.text, chunk=chunk)
                yield chunk
            elif isinstance(event, Completion):
                yield ChatGenerationChunk(message=_last(cast("Completion[Any]", event), streamed))


def _asked(stop: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
    """What our own door is told for LangChain's keywords; a setting that we do not know goes to the server."""
    given = {name: value for name, value in given.items() if value is not None}
    tools = [_spec(tool) for tool in given.pop("tools", ())]
    choice = given.pop("tool_choice", None)
    if isinstance(choice, dict):
        choice = cast("dict[str, Any]", choice).get("function", {}).get("name")
    for word in ("ls_structured_output_format", "strict", "parallel_tool_calls", "response_format"):
        given.pop(word, None)
    known: dict[str, Any] = {
        name: given.pop(name) for name in list(given) if name in Params.__slots__ and given[name] is not None
    }
    params = replace(Params(**known), stop=tuple(stop or ()), extra=given)
    if not tools:
        return {"params": params}
    return {"params": params, "tools": tools, "tool_choice": _CHOICES.get(choice, choice) if choice else "auto"}


def _spec(tool: dict[str, Any]) -> ToolSpec:
    empty: dict[str, Any] = {"type": "object", "properties": {}}
    return ToolSpec(
        name=tool["name"], description=tool.get("description", ""), parameters=tool.get("parameters") or empty
    )


def _message(completion: Completion[Any]) -> AIMessage:
    told = {"model_name": completion.model, "finish_reason": completion.finish_reason}
    return ai_message(
        completion.text,
        completion.tool_calls,
        usage_metadata=usage_metadata(completion.usage),
        response_metadata=told,
    )


def _last(completion: Completion[Any], streamed: str) -> AIMessageChunk:
    """What a stream ends with: calls, usage, and text that was not streamed."""
    message = _message(completion)
    return AIMessageChunk(
        content="" if streamed else completion.text,
        tool_call_chunks=[
            {"name": call.name, "args": call.arguments, "id": call.call_id, "index": index, "type": "tool_call_chunk"}
            for index, call in enumerate(completion.tool_calls)
        ],
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
        chunk_position="last",
    )
