"""Nodes without the callbacks that nobody listens to: one instruction in twelve of an agent's turn."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._runnable import RunnableSeq

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph


class QuietSequence(RunnableSeq):
    """A node and the writers of its result.

    LangGraph makes callback managers for each call of it and of its parts. Where a handler listens (a tracer, say, or
    the stream of messages), it is called as LangGraph has it; else only what the node can see is the same: a context of
    its own, with the config in it, and a task of its own.
    """

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """What the last writer gives back."""
        if config is None or _is_heard(config):
            return super().invoke(input, config, **kwargs)
        node, *writers = self._parts
        context, config = _inside(config)
        result: Any = context.run(node.invoke, input, config, **kwargs)
        for writer in writers:
            result = writer.invoke(result, config)
        return result

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """What the last writer gives back."""
        if config is None or _is_heard(config):
            return await super().ainvoke(input, config, **kwargs)
        node, *writers = self._parts
        context, config = _inside(config)
        result: Any = await asyncio.create_task(node.ainvoke(input, config, **kwargs), context=context)
        for writer in writers:
            result = await writer.ainvoke(result, config)
        return result

    @property
    def _parts(self) -> list[Any]:
        return cast("list[Any]", self.steps)  # pyright: ignore[reportUnknownMemberType] - LangGraph leaves it open


def quieten(compiled: CompiledStateGraph[Any, Any, Any, Any]) -> None:
    """Let the nodes of a compiled graph run without callbacks where nobody listens; the last step of a compilation."""
    for node in cast("dict[str, Any]", compiled.nodes).values():
        if type(node.node) is RunnableSeq:
            node.__dict__["node"] = QuietSequence(node.bound, *node.flat_writers, trace_policy=node.trace_policy)


def _is_heard(config: RunnableConfig) -> bool:
    """Whether somebody listens, or may; tracers that the environment names are there since the run began."""
    manager = config.get("callbacks")
    return not isinstance(manager, BaseCallbackManager) or bool(manager.handlers)


def _inside(config: RunnableConfig) -> tuple[Context, RunnableConfig]:
    """The context of the node, and its config: name and id are those of the node, not of what it calls."""
    inner = cast(RunnableConfig, {key: value for key, value in config.items() if key not in ("run_name", "run_id")})
    context = copy_context()
    context.run(var_child_runnable_config.set, inner)
    return context, inner
