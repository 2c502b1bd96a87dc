"""Runs the steps of a plan: those that are ready side by side, the others when their turn comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from langgraph.errors import GraphBubbleUp
from pydantic_core import to_jsonable_python

from ..core.errors import BudgetExceeded, GraphSetupError, JournalMismatch, NoJournal, RunError, StoreError, nearest
from ..core.trust import current_reading, trust_of
from ..graphs import END, START, Graph, State, merge_by_id
from ..knowledge.passages import Passage
from ..models import Model
from ..tools import Tool, ToolResult, as_tools
from ._agent import admits, ports
from ._words import Assignment, numbered, text_of
from .tool_executor import ToolExecutor
from .values import Plan, Step, StepResult

_FED = ("passages", "results", "question")
"""Ports that an agent in a plan may have beside its first: what earlier steps found, and the plan's goal."""


class _Given(State):
    plan: Plan


class Ran(State):
    """What a `PlanRunner` writes."""

    results: list[StepResult] = []
    """One for each step, in plan order."""


class _Running(_Given, Ran):
    ready: list[Assignment] = []
    done: Annotated[list[StepResult], merge_by_id("step_id")] = []


class _PlanGraph(Graph[_Running]):
    """A graph whose tasks run other graphs: the classes of their states are its own too."""

    inner: Iterable[Graph[Any]] = ()

    def state_types(self) -> list[type]:
        """Every class that a checkpoint of a plan may hold."""
        own = super().state_types()
        return list(dict.fromkeys([*own, *(kind for graph in self.inner for kind in graph.state_types())]))


class PlanRunner:
    """A graph that runs a plan: all ready steps at once, each a task and a checkpoint of its own.

    A step that fails is a result with status `error`; the steps that depend on it are skipped, the others go
    on. An agent gets the step as its first port (or the step's goal, where the port takes text), and, where
    it has such ports, `passages` and `results` of the steps that it depends on, and the plan's goal as
    `question`. A tool gets its arguments from the model, and acts under the same policy and journal as
    everywhere.

    Args:
        model: Fills in the arguments of tools; None takes that of the run.
        agents: Name, as plans use it, to agent or function.
        tools: Tools, or functions, that plans may name.
        prompt: Instructions for the model that fills in arguments, in place of our own.

    Raises:
        GraphSetupError: There is neither agent nor tool, or an agent has a port that a plan cannot feed.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        *,
        agents: Mapping[str, Callable[..., Any]] | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        prompt: str | Path | None = None,
    ) -> None:
        self.agents = dict(agents or {})
        own = as_tools(tools)
        if not self.agents and not own:
            raise GraphSetupError("A PlanRunner needs agents or tools to run steps with.")
        for name, agent in self.agents.items():
            _check_ports(name, agent)
        self._executors = {tool.name: ToolExecutor(model, [tool], max_turns=1, prompt=prompt) for tool in own}
        self._executors |= {n: agent for n, agent in self.agents.items() if isinstance(agent, ToolExecutor)}
        self.tools: tuple[Tool, ...] = tuple(t for one in self._executors.values() for t in one.tools)
        acting = {n: one for n, one in self._executors.items() if hasattr(one, "build_graph")}
        self._graphs = {name: executor.graph_giving("both") for name, executor in acting.items()}
        self._compiled: dict[str, Any] = {}

    def build_graph(self) -> Graph[Any]:
        """The graph: input `plan`, output `results`."""
        graph = _PlanGraph(_Running, name="plan_runner", input=_Given, output=Ran)
        graph.inner = self._graphs.values()
        graph.add_node("schedule", _schedule)
        graph.add_map("work", self._work, over="ready", writes="done")
        graph.add_edge(START, "schedule")
        graph.add_conditional_edges("schedule", _after_schedule, ["work", END])
        graph.add_edge("work", "schedule")
        return graph

    async def _work(self, task: Assignment) -> StepResult:
        """The result of one step; what goes wrong in it is a result, what is wrong with the run is not."""
        step = task.step
        try:
            return await self._run(step, task)
        except (RunError, StoreError, BudgetExceeded, NoJournal, JournalMismatch, GraphBubbleUp):
            raise
        except Exception as error:  # the boundary of a step: an agent may raise anything
            return StepResult(step_id=step.id, status="error", text=f"{type(error).__name__}: {error}")

    async def _run(self, step: Step, task: Assignment) -> StepResult:
        known = list(dict.fromkeys([*self._executors, *self.agents]))
        name = step.tool or step.agent or (known[0] if len(known) == 1 else "")
        if name in self._executors:
            return _from_calls(step, await self._execute(name, task))
        if name in self.agents:
            agent = self.agents[name]
            return _result(step, await agent(**_arguments(agent, task)))
        text = f"Nothing called {name!r} is here to do it. {nearest(name, known)}"
        return StepResult(step_id=step.id, status="error", text=text)

    async def _execute(self, name: str, task: Assignment) -> Mapping[str, Any]:
        """Results and text; an executor that may act runs inside this task's own checkpoint namespace."""
        if name not in self._graphs:
            return await self._executors[name].reach(task)
        if name not in self._compiled:
            graph: Any = self._graphs[name]  # LangGraph leaves the types of what compile() takes open
            self._compiled[name] = graph.compile()
        return cast("Mapping[str, Any]", await self._compiled[name].ainvoke({"goal": task}))


def _schedule(plan: Plan, done: list[StepResult]) -> dict[str, Any]:
    """The steps whose dependencies ended well; those behind a failure are skipped."""
    by_id = {result.step_id: result for result in done}
    trusted = _trusted_words(plan)
    skipped: list[StepResult] = []
    ready: list[Assignment] = []
    while fresh := [step for step in plan.ready(by_id) if step not in [task.step for task in ready]]:
        for step in fresh:
            results = [by_id[step_id] for step_id in step.depends_on]
            failed = [result.step_id for result in results if result.status != "ok"]
            if failed:
                text = f"Skipped, as {', '.join(failed)} did not end well."
                by_id[step.id] = StepResult(step_id=step.id, status="skipped", text=text)
                skipped.append(by_id[step.id])
            else:
                ready.append(Assignment(step=step, question=plan.goal, results=results, trusted=trusted))
    results = [] if ready else [by_id[step.id] for step in plan.steps]
    return {"ready": ready, "done": skipped, "results": results}


def _trusted_words(plan: Plan) -> str:
    """The words of a plan; none where untrusted text had a part in it, or led to it."""
    reading = current_reading.get()
    came = (*reading.labels.get("plan", ()), *reading.path) if reading else ()
    words = "\n".join([plan.goal, *(step.goal for step in plan.steps)])
    return words if reading and trust_of(came) == "trusted" else ""


def _after_schedule(state: _Running) -> str:
    return "work" if state.ready else END


def _arguments(agent: Callable[..., Any], task: Assignment) -> dict[str, Any]:
    first, *others = ports(agent).items()
    name, (kind, _) = first
    known: dict[str, Any] = {
        "passages": [passage for result in task.results for passage in result.passages],
        "results": task.results,
        "question": task.question,
    }
    given = {port: known[port] for port, _ in others if port in known}
    return {name: task.step if admits(kind, Step) else task.step.goal, **given}


def _check_ports(name: str, agent: Callable[..., Any]) -> None:
    if isinstance(agent, ToolExecutor):
        return
    if not callable(agent) or hasattr(agent, "build_graph"):
        raise GraphSetupError(
            f"Agent {name!r} cannot do a step: a function, a ToolExecutor or another callable agent can."
        )
    found = list(ports(agent).items())
    if not found:
        raise GraphSetupError(f"Agent {name!r} has no port for its step; give its function a parameter.")
    for port, (_, needed) in found[1:]:
        if needed and port not in _FED:
            raise GraphSetupError(
                f"Agent {name!r} needs {port!r}, which a plan cannot give it. "
                f"After the first port it may need: {', '.join(_FED)}."
            )


def _result(step: Step, value: Any) -> StepResult:
    """What an agent returned, as the result of its step."""
    if isinstance(value, StepResult):
        return value.model_copy(update={"step_id": step.id})
    found = list(cast("Sequence[Any]", value)) if isinstance(value, list) else []
    if found and all(isinstance(one, Passage) for one in found):
        return StepResult(step_id=step.id, status="ok", text=numbered(found), passages=found)
    data = None if isinstance(value, str) else to_jsonable_python(value, fallback=str)
    return StepResult(step_id=step.id, status="ok", text=text_of(value), data=data)


def _from_calls(step: Step, came: Mapping[str, Any]) -> StepResult:
    """What tool calls came to: good when there was one and each was made, or answered by a person."""
    results = cast("list[ToolResult]", came.get("results", []))
    good = bool(results) and all(result.status in ("ok", "responded") for result in results)
    text = "\n".join(result.content for result in results) or str(came.get("text", ""))
    data = [result.data for result in results]
    return StepResult(step_id=step.id, status="ok" if good else "error", text=text, data=data)
