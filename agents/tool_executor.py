"""Reaches a goal by calling tools, and asks a person where the policy says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel

from ..core.errors import GraphSetupError
from ..core.messages import Message
from ..graphs import END, START, Graph, State, append, merge_by_id
from ..guardrails import Frozen
from ..models import History, Model
from ..models import model as resolve
from ..runs import Edit, ask, plans_first, tool_question
from ..tools import Tool, ToolResult, as_tools
from ._agent import Agent
from ._calls import ProposedCall, act, act_inside, told, weigh, with_ids, with_leave
from ._proposing import Proposer

Gives = Literal["results", "text", "both"]
"""What an executor hands to the graph around it."""


class _Results(State):
    results: Annotated[list[ToolResult], append] = []
    """What came of each call, in call order."""


class _Text(State):
    text: str = ""
    """What the model says about it at the end."""


class _Both(_Results, _Text):
    pass


_GIVEN: dict[Gives, Any] = {"results": list[ToolResult], "text": str, "both": dict[str, Any]}
_OUTPUTS: dict[Gives, type[State]] = {"results": _Results, "text": _Text, "both": _Both}


class _Goal(State):
    goal: Any


class _Turns(_Goal, _Both):
    """The state of an executor that may act, checkpointed between a proposal and its effects."""

    messages: Annotated[list[dict[str, Any]], append] = []
    """The conversation, as `Message.to_state` writes it."""
    turn: int = 0
    frozen: Frozen | None = None
    """Laid down at the start where the policy's mode is plan-then-execute."""
    acting: list[ProposedCall] = []
    """Calls of this turn that need nobody's leave."""
    asking: list[ProposedCall] = []
    """Calls of this turn that a person must decide about."""
    edits: dict[str, dict[str, Any]] = {}
    """Call id to the arguments that a person put in place of the proposed ones."""
    settled: Annotated[list[ToolResult], merge_by_id("call_id")] = []


class _Stop(NamedTuple):
    """Where a stretch of turns inside one node ended."""

    messages: list[Message]
    """Those that are new."""
    results: list[ToolResult]
    turn: int
    text: str
    """Empty while calls are open."""
    open: list[ProposedCall]
    """Calls that must leave the node before anything acts on them."""


class ToolExecutor(Agent):
    """Lets a model call tools until a goal is reached, or the turns are used up.

    When all tools only read and none is of high risk, it is one node. Else it is a graph: proposals are
    checkpointed before anything acts on them, all calls of a turn that need a person ask at once, and
    results come back in call order. Errors, rejections and a person's answers are results.

    A model that cannot call tools fills schemas instead; a tiny one calls the one tool that fits, or says
    that it cannot choose.

    Args:
        model: The model, or its spec; None takes that of the run.
        tools: Tools, or functions, which then count as unsafe and of high risk.
        gives: What the node writes: `results`, the `text` that the model ends with, or `both`.
        max_turns: Most proposals, 1 or more.
        prompt: Instructions in place of our own, as text or as a file.
        expires_s: Seconds until a call that nobody decided about counts as rejected; None waits for ever.
        history: What becomes of a conversation that is too long for the model; by default it is trimmed. The state
            keeps all of it.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        *,
        gives: Gives = "results",
        max_turns: int = 8,
        prompt: str | Path | None = None,
        expires_s: float | None = None,
        history: History | None = None,
    ) -> None:
        self.model = resolve(model)
        self.tools = tuple(as_tools(tools))
        if not self.tools:
            raise GraphSetupError("A ToolExecutor needs at least one tool.")
        if max_turns < 1:
            raise GraphSetupError(f"max_turns is {max_turns!r}; an executor needs at least 1.")
        self.gives: Gives = gives
        self.max_turns = max_turns
        self.expires_s = expires_s
        self._by_name: Mapping[str, Tool] = {tool.name: tool for tool in self.tools}
        self._proposer = Proposer(self.model, self._by_name, prompt, history)
        self._reads_only = all(tool.effect == "read" and tool.risk != "high" for tool in self.tools)

    async def __call__(self, goal: Any) -> Any:
        """What `gives` names: the results, the final text, or a mapping of both.

        Args:
            goal: Text, a step, an answer, or any value with a JSON form.

        Raises:
            GraphSetupError: A tool may act; the executor then runs as a graph only.
            BackendError: The model cannot be used.
        """
        came = await self.reach(goal)
        return came if self.gives == "both" else came[self.gives]

    async def reach(self, goal: Any) -> dict[str, Any]:
        """`results` and `text` of an executor whose tools only read; see `__call__`."""
        if not self._reads_only:
            raise GraphSetupError("This ToolExecutor has tools that act; add it to a graph and run that.")
        opening = await self._proposer.opening(goal)
        stop = await self._turns(opening, goal, 0, await self._frozen(opening, goal))
        return {"results": stop.results, "text": stop.text}

    def bind(self, state: type[BaseModel], name: str) -> Callable[..., Any]:
        """The executor as a node whose result type is that of what it gives."""
        if not self._reads_only:
            return self

        async def execute(goal: Any) -> Any:
            return await self(goal)

        execute.__annotations__ = {"goal": Any, "return": _GIVEN[self.gives]}
        return execute

    @property
    def build_graph(self) -> Callable[[], Graph[Any]]:
        """Makes the graph of an executor whose tools may act; one that only reads has none and is a node."""
        if self._reads_only:
            raise AttributeError("build_graph")
        return lambda: self.graph_giving(self.gives)

    def graph_giving(self, gives: Gives) -> Graph[Any]:
        """The executor as a graph: input `goal`, output what `gives` names."""
        graph = Graph(_Turns, name="tool_executor", input=_Goal, output=_OUTPUTS[gives])
        graph.add_node("propose", self._propose)
        graph.add_map("act", self._act, over="acting", writes="settled")
        graph.add_node("approve", self._approve, writes="edits")
        graph.add_map("act_approved", self._act, over="asking", writes="settled")
        graph.add_edge(START, "propose")
        graph.add_conditional_edges("propose", _after_proposal, ["act", "approve", END])
        graph.add_conditional_edges("act", _after_acting, ["approve", "propose"])
        graph.add_edge("approve", "act_approved")
        graph.add_edge("act_approved", "propose")
        return graph

    async def _propose(self, state: _Turns) -> dict[str, Any]:
        """Take in what the last calls came to, then go on until calls must leave the node, or to the end."""
        conversation = [Message.from_state(message) for message in state.messages]
        fresh: list[Message] = [] if conversation else await self._proposer.opening(state.goal)
        frozen = state.frozen if conversation else await self._frozen(fresh, state.goal)
        results = _in_call_order(state)
        fresh += told(results, state.edits)
        stop = await self._turns([*conversation, *fresh], state.goal, state.turn, frozen)
        return {
            "messages": [message.to_state() for message in [*fresh, *stop.messages]],
            "results": [*results, *stop.results],
            "turn": stop.turn,
            "frozen": frozen,
            "text": stop.text,
            "acting": [call for call in stop.open if call.way != "ask"],
            "asking": [call for call in stop.open if call.way == "ask"],
            "edits": {},
        }

    async def _frozen(self, opening: list[Message], goal: Any) -> Frozen | None:
        return await self._proposer.lay_down(opening, goal) if plans_first() else None

    async def _turns(self, conversation: list[Message], goal: Any, turn: int, frozen: Frozen | None) -> _Stop:
        """Propose and read, turn by turn, as long as that can be done inside the node."""
        known = len(conversation)
        results: list[ToolResult] = []
        while turn < self.max_turns:
            said = with_ids(await self._proposer.propose(conversation, goal), conversation, turn)
            calls = weigh(said.tool_calls, self._by_name, turn=turn, read=conversation, frozen=frozen)
            calls = await with_leave(calls, self._by_name)
            conversation = [*conversation, said]
            if not calls:
                return _Stop(conversation[known:], results, turn, said.content, [])
            turn += 1
            if not self._reads_only and not all(call.inside for call in calls):
                return _Stop(conversation[known:], results, turn, "", calls)
            came = await act_inside(calls, self._by_name)
            results += came
            conversation += told(came)
        text = f"Stopped after {self.max_turns} turns of tool calls." if self.max_turns > 1 else ""
        return _Stop(conversation[known:], results, turn, text, [])

    async def _act(self, call: ProposedCall) -> ToolResult:
        return await act(call, self._by_name)

    async def _approve(self, asking: list[ProposedCall]) -> dict[str, dict[str, Any]]:
        """Put all calls that ask before a person at once; `call_tool` reads the decisions by their keys."""
        decisions = ask([self._question(call) for call in asking])
        pairs = zip(asking, decisions, strict=True)
        return {call.call_id: decision.args for call, decision in pairs if isinstance(decision, Edit)}

    def _question(self, call: ProposedCall) -> Any:
        tool = self._by_name[call.tool]
        return tool_question(
            tool,
            call.arguments,
            call.key,
            call.trust,
            self.expires_s,
            origins=call.origins,
            seen_in=call.seen_in,
            frozen=call.frozen,
        )


def _after_proposal(state: _Turns) -> str:
    if state.acting:
        return "act"
    return "approve" if state.asking else END


def _after_acting(state: _Turns) -> str:
    return "approve" if state.asking else "propose"


def _in_call_order(state: _Turns) -> list[ToolResult]:
    """What the calls that left the node came to, in the order in which they were proposed."""
    if not state.acting and not state.asking:
        return []
    settled = {result.call_id: result for result in state.settled}
    proposed = [call["id"] for call in state.messages[-1].get("tool_calls", ())]
    return [settled[call_id] for call_id in proposed]
