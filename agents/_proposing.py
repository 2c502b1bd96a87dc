"""How a model comes to propose tool calls: by itself, by filling schemas, or, when tiny, by a rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, WithJsonSchema, create_model

from ..core.errors import InvalidArguments
from ..core.messages import Message, ToolCall, assistant, user
from ..core.trust import Origin, met_so_far, origins_here, trust_of
from ..guardrails import Frozen
from ..knowledge.words import terms
from ..models import History, Model
from ..tools import Tool
from ._choices import one_of
from ._prompts import Prompt
from ._words import Assignment, origins_of, text_of

_LAY_DOWN = "Name all tools that the goal needs. No other may be used once something has been read."
NONE = "none"
"""What a model chooses when no tool is to be called."""


class Proposer:
    """Asks a model for the next calls, in the way that the model can manage."""

    def __init__(
        self, model: Model, tools: Mapping[str, Tool], prompt: str | Path | None, history: History | None
    ) -> None:
        self._model = model
        self._history = history or History()
        self._tools = tools
        self._specs = [tool.spec() for tool in tools.values()]
        self._prompt = Prompt("tool_executor", prompt)
        self._choice_prompt = Prompt("tool_choice", prompt)

    async def opening(self, goal: Any) -> list[Message]:
        """The conversation before the first proposal."""
        origins, text = origins_of(goal) | met_so_far(), text_of(goal)
        if (await self._model.capabilities()).tools:
            return self._prompt.messages(origins=origins, goal=text)
        lines = "\n".join(f"- {tool.name}: {tool.description}" for tool in self._tools.values())
        return self._choice_prompt.messages(origins=origins, goal=text, tools=lines)

    async def lay_down(self, opening: Sequence[Message], goal: Any) -> Frozen:
        """What the goal asks for, said before anything from outside is read; nothing where it comes from outside."""
        if isinstance(goal, Assignment):
            return Frozen(tuple(self._tools), goal.trusted) if goal.trusted else Frozen()
        came = frozenset[Origin]().union(origins_here() or (), *(message.origins for message in opening))
        if trust_of(came) == "untrusted":
            return Frozen()
        if (await self._model.capabilities()).level == "tiny":
            fitting = _fitting(text_of(goal), list(self._tools.values()))
            return Frozen(tuple(tool.name for tool in fitting), text_of(goal))
        names: Any = list[one_of([*self._tools, NONE])]  # type: ignore[misc]  # made at run time
        kind: type[BaseModel] = create_model("Tools", tools=(names, ...))
        chosen = await self._model.complete([*flat(opening), user(_LAY_DOWN)], output=kind)
        named = cast("list[str]", vars(chosen.output)["tools"])
        return Frozen(tuple(name for name in self._tools if name in named), text_of(goal))

    async def propose(self, conversation: Sequence[Message], goal: Any) -> Message:
        """The next assistant turn: calls, or the final text.

        Raises:
            BackendError: The model gave no usable answer.
        """
        can = await self._model.capabilities()
        if can.level == "tiny":
            return self._by_rule(conversation, goal)
        if can.tools:
            fitting = await self._history.fitted(conversation, self._model, self._specs)
            said = await self._model.complete(fitting, tools=self._specs)
            return said.message()
        return await self._by_schema(flat(await self._history.fitted(conversation, self._model)))

    async def _by_schema(self, conversation: Sequence[Message]) -> Message:
        """One call as two filled schemas: which tool, then its arguments."""
        choice: type[BaseModel] = create_model("Choice", tool=(one_of([*self._tools, NONE]), ...))
        chosen = str(vars((await self._model.complete(conversation, output=choice)).output)["tool"])
        if chosen == NONE:
            final = [*conversation, user("Say in a few words what came of it.")]
            return assistant((await self._model.complete(final)).text)
        asked = [*conversation, user(f"Give the arguments of {chosen} as JSON.")]
        given = await self._model.complete(asked, output=arguments_type(self._tools[chosen]))
        return assistant("", [ToolCall("", chosen, json.dumps(given.output))])

    def _by_rule(self, conversation: Sequence[Message], goal: Any) -> Message:
        """For a tiny model: the one tool that fits, called with the goal; else what is missing."""
        results = [message.content for message in conversation if message.role == "tool"]
        if results:
            return assistant("\n".join(results))
        text = text_of(goal)
        fitting = _fitting(text, list(self._tools.values()))
        if len(fitting) != 1:
            return assistant(self._cannot(f"choose between {', '.join(self._tools)}"))
        tool = fitting[0]
        arguments = _from_goal(tool, text)
        if arguments is None:
            return assistant(self._cannot(f"fill in the arguments of {tool.name}"))
        return assistant("", [ToolCall("", tool.name, json.dumps(arguments))])

    def _cannot(self, what: str) -> str:
        return f"Nothing was called: {self._model.spec} is too small a model to {what}. Use a larger one."


def arguments_type(tool: Tool) -> type[dict[str, Any]]:
    """A type whose JSON Schema is the tool's, and whose values the tool itself has validated."""

    def checked(arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return tool.validate(arguments)
        except InvalidArguments as error:
            raise ValueError(error.problem) from error

    made = Annotated[dict[str, Any], AfterValidator(checked), WithJsonSchema(tool.parameters)]
    return cast("type[dict[str, Any]]", made)


def flat(conversation: Sequence[Message]) -> list[Message]:
    """The conversation without tool turns, for a server whose template knows none."""
    return [_flat(message) for message in conversation]


def _flat(message: Message) -> Message:
    if message.role == "tool":
        return user(f"Result: {message.content}", origins=message.origins)
    if message.tool_calls:
        calls = "; ".join(f"{call.name}({call.arguments})" for call in message.tool_calls)
        return assistant(f"{message.content} Call: {calls}".strip())
    return message


def _fitting(goal: str, tools: Sequence[Tool]) -> list[Tool]:
    if len(tools) == 1:
        return list(tools)
    words = set(terms(goal))
    return [tool for tool in tools if words & set(terms(f"{tool.name} {tool.description}"))]


def _from_goal(tool: Tool, goal: str) -> dict[str, Any] | None:
    """The goal as the tool's one required text, or nothing when it requires nothing; None when it wants more."""
    required = cast("list[str]", tool.parameters.get("required", []))
    properties = cast("dict[str, dict[str, Any]]", tool.parameters.get("properties", {}))
    if not required:
        return {}
    if len(required) > 1 or properties[required[0]].get("type") != "string":
        return None
    return {required[0]: goal}
