"""What all agents share: the door by which one becomes a tool of another."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Any, get_args, get_type_hints

from ..core.errors import GraphSetupError
from ..tools import Tool
from ..tools.function import FunctionTool


class Agent:
    """A callable whose parameters are ports; it can stand in a graph, in a plan, or behind a tool."""

    def as_tool(self, *, name: str, description: str, timeout_s: float = 120) -> Tool:
        """This agent as a `read` tool, so that a `ToolExecutor` may call it.

        The tool takes the agent's required ports; a port that admits text takes text. Its results count
        as untrusted, like those of any tool.

        Args:
            name: What a model calls it.
            description: When to call it, in one or two sentences.
            timeout_s: Limit of one call, in seconds.

        Raises:
            GraphSetupError: The agent acts on the world (or asks a person), so it is a graph of its own.
        """
        if hasattr(self, "build_graph"):
            raise GraphSetupError(
                f"{type(self).__name__} cannot be the tool {name!r}: it may act or ask a person, and a tool "
                "that is called inside another call cannot. Add it to the graph as a node."
            )
        return FunctionTool(
            _narrowed(self), name=name, description=description, effect="read", risk="low", timeout_s=timeout_s
        )


def ports(agent: Callable[..., Any]) -> dict[str, tuple[Any, bool]]:
    """Port name to its type and whether it must be given, in order."""
    function = agent if inspect.isroutine(agent) else type(agent).__call__
    hints = get_type_hints(function)
    return {
        name: (hints.get(name, Any), parameter.default is parameter.empty)
        for name, parameter in inspect.signature(agent).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def admits(port_type: Any, wanted: type) -> bool:
    """Whether a port of this type takes a value of type `wanted`."""
    return port_type is Any or port_type is wanted or wanted in get_args(port_type)


def _narrowed(agent: Any) -> Callable[..., Any]:
    """A function of the required ports alone, each as simple as its type allows."""
    required = {name: kind for name, (kind, needed) in ports(agent).items() if needed}

    async def call(**arguments: Any) -> Any:
        return await agent(**arguments)

    hints = {name: str if admits(kind, str) else _without_none(kind) for name, kind in required.items()}
    call.__annotations__ = hints
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions take one, typeshed does not say so
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint) for name, hint in hints.items()]
    )
    return call


def _without_none(kind: Any) -> Any:
    rest = [part for part in get_args(kind) if part is not NoneType]
    return rest[0] if len(rest) == 1 and NoneType in get_args(kind) else kind
