"""The graph: LangGraph's `StateGraph` with typed ports, guarded writes, maps, loops and checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from langchain_core.runnables import Runnable
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.graph import END, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy
from pydantic import BaseModel

from ..core.blocking import run_blocking
from ..core.errors import CheckFailed, GraphSetupError, UnknownField, UnknownTarget
from ..core.ids import digest
from ..guardrails.guards import Guards
from ..guardrails.policy import Policy
from ..runs.migration import Migration, ValuesFunction
from ..tools.base import Tool
from .admission import admit, changed, view
from .binding import Binder, Binding, Names, reads_of
from .channels import DefaultedReducer
from .fields import Fields, fields_of
from .findings import Code, Finding, Mistake, is_collecting
from .guard import Guard, Targets
from .lenient import unrunnable
from .loops import Loop, LoopRouter
from .lowering import compiled_from
from .maps import Map, items_type
from .nodes import FunctionStep
from .ports import UNTYPED, branch_targets, hints_of
from .routers import Choice, PathMap, Router
from .shape import shape_of, state_types, tools_of
from .state import State
from .steps import guarded_handler, inputs_of, reading_schema, step_for

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import timedelta

    from langgraph.cache.base import BaseCache
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.store.base import BaseStore
    from langgraph.types import All

    from ..runs import Approval, Budget, Decision, Run, Runner

StateT = TypeVar("StateT", bound=State)
NodeT = TypeVar("NodeT", bound=Callable[..., Any])
ValuesT = TypeVar("ValuesT", bound=ValuesFunction)
Retries = RetryPolicy | Sequence[RetryPolicy]
Predicate = Callable[..., Any]


class Graph(StateGraph[StateT, Any, Any, Any], Generic[StateT]):
    """A workflow of nodes over one typed state.

    Edges, `Send`, `Command`, policies, streaming and savers are LangGraph's own; `compile()` returns an
    ordinary `CompiledStateGraph`.
    """

    def __init__(
        self,
        state: type[StateT],
        *,
        name: str | None = None,
        version: str = "1",
        context: type[Any] | None = None,
        input: type[BaseModel] | None = None,
        output: type[BaseModel] | None = None,
        policy: Policy | None = None,
        guards: Guards | None = None,
    ) -> None:
        """An empty graph.

        Args:
            state: The fields that nodes share.
            name: What it is called in the store and at the terminal; default the state's name in lower case.
            version: Of the graph; stored with each run.
            context: Class of the run's context (database handles, user, tenant), for `runtime.context`.
            input: Model with the fields that a caller may give; default all.
            output: Model with the fields that `invoke` returns; default all.
            policy: Decides about tool calls where the Runner has no policy.
            guards: Look at what comes in, goes out and passes through tools, where the Runner has none.

        Raises:
            GraphSetupError: The state is not a `State`, or `input`/`output` have fields that it lacks.
        """
        if not isinstance(state, type) or not issubclass(state, State):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise GraphSetupError(f"Graph(…) needs a subclass of State, not {state!r}.")
        self.fields: Fields = fields_of(state)
        for part in (input, output):
            for field in part.model_fields if part else {}:
                if field not in self.fields:
                    raise GraphSetupError(f"{cast(Any, part).__name__}.{field} is no field of {state.__name__}.")
        super().__init__(state, context, input_schema=input, output_schema=output)
        self.name = name or state.__name__.lower()
        self.version = version
        self._policy, self._guards = policy, guards
        self.targets = Targets(self.nodes)
        self.bindings: dict[str, Binding] = {}
        self.routers: dict[tuple[str, str], Binding] = {}
        """What each router and condition reads, by source and branch."""
        self.maps: dict[str, Map] = {}
        self.loops: dict[str, Loop] = {}
        self.migrations: list[Migration] = []
        """What leads stored runs of earlier versions to this one, oldest first."""
        self.mistakes: list[Mistake] = []
        self.memory: tuple[tuple[int, ...], Runner] | None = None
        """Where `run` keeps its runs, with the size of the graph that it was compiled at."""
        self.opening: dict[str, Future[None]] = {}
        """Held while that Runner is made."""
        self.source: Graph[StateT] = self
        """The graph as the user made it; compiling works on a copy."""
        self._start_reducers_at_defaults()

    def _start_reducers_at_defaults(self) -> None:
        channels: dict[str, Any] = cast(Any, self).channels
        for name, channel in channels.items():
            if channel.__class__ is BinaryOperatorAggregate and name in self.fields:
                channels[name] = DefaultedReducer(channel.typ, channel.operator, self.fields, name)

    def add_node(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - ports take the place of the state
        self,
        node: str | Any,
        action: Any = None,
        *,
        reads: Names = None,
        writes: Names = None,
        defer: bool = False,
        metadata: dict[str, Any] | None = None,
        input_schema: type[Any] | None = None,
        retry_policy: Retries | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: Callable[..., Any] | None = None,
        destinations: dict[str, str] | tuple[str, ...] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        trace_policy: Any = None,
    ) -> Graph[StateT]:
        """Add a node: a callable whose parameters are its ports, or a graph whose input and output are.

        Args:
            node: Its name; may be left out for a function.
            action: A function (sync ones run in a thread), a callable object, a LangChain runnable, a graph, or
                an object with `build_graph()`.
            reads: Fields for the ports: one, several, or a mapping from port to field. Default: by name.
            writes: Fields for the result. One name: the result is the value, None included. Several, or a
                mapping from name to field: the result is a mapping. Default: a mapping of any fields.
            defer: Run when nothing else is left to run.
            metadata: Shown in traces.
            input_schema: A narrower schema for a `state` parameter.
            retry_policy: When to try again.
            cache_policy: For nodes without effects.
            error_handler: Called with the state and the error when the node fails.
            destinations: Targets of the commands that it returns, where the annotation does not say.
            timeout: Limit of one attempt, in seconds; async nodes only.
            trace_policy: What traces record.

        Raises:
            UnknownField: A port or a write has no field.
            PortMismatch: The types of a port and its field differ.
            GraphSetupError: Anything else that cannot work.
        """
        name, action = self._named(node, action)
        binding = Binder(name, action, self.fields).bind(reads, writes, view=input_schema)
        options: dict[str, Any] = {
            "defer": defer,
            "metadata": metadata,
            "retry_policy": retry_policy,
            "cache_policy": cache_policy,
        }
        options |= {"timeout": timeout, "trace_policy": trace_policy, "destinations": destinations}
        return self._place(binding, options, error_handler)

    def node(
        self, name: str | None = None, *, reads: Names = None, writes: Names = None, **options: Any
    ) -> Callable[[NodeT], NodeT]:
        """Decorator form of `add_node`; the node's name is the function's unless given."""

        def add(function: NodeT) -> NodeT:
            self.add_node(name or cast(Any, function).__name__, function, reads=reads, writes=writes, **options)
            return function

        return add

    def add_map(
        self,
        name: str,
        node: Any,
        *,
        over: str,
        writes: Names = None,
        reads: Names = None,
        item: str = "",
        **options: Any,
    ) -> Graph[StateT]:
        """Add a node that runs once for each item of a list, in parallel, each a durable task of its own.

        Results are reduced in the items' order. An edge out of it continues after all items, at once when
        there are none.

        Args:
            name: The node.
            node: As for `add_node`; its result is that of one item.
            over: Dotted path from a field to the list: `"plan.steps"`.
            writes: As for `add_node`; each field needs a reducer, as all items write it.
            reads: Fields for the other ports.
            item: The port that takes the item; default the first.
            **options: LangGraph's, as for `add_node`.

        Raises:
            UnknownField: The path or a port has no field.
            PortMismatch: The item does not fit its port.
            GraphSetupError: A written field has no reducer, or there is no list at the path.
        """
        spec = Map(name, over, item)
        found = items_type(self.fields, over) if spec.field in self.fields else None
        binder = Binder(name, node, self.fields, Any if found is None else found)
        binding = binder.bind(reads, writes, item=item)
        self._check_map(spec, binder, binding, found)
        handler = options.pop("error_handler", None)
        self.maps[name] = Map(name, over, binding.item or item)
        self.targets.entries[name] = spec.split
        return self._place(binding, options, handler)

    def _check_map(self, spec: Map, binder: Binder, binding: Binding, found: Any) -> None:
        fix = 'Map over a field that holds a list, as in over="plan.steps".'
        if spec.field not in self.fields:
            error: GraphSetupError = UnknownField(
                spec.field, tuple(self.fields), f"Node {spec.name!r}, over={spec.over!r}"
            )
            binder.mistake(error, "unknown_field", spec.over, fix)
        elif found is None:
            error = GraphSetupError(
                f"Node {spec.name!r}: there is no list at {spec.over!r} of {self.state_schema.__name__}."
            )
            binder.mistake(error, "unknown_field" if "." in spec.over else "type_mismatch", spec.over, fix)
        for field in binding.writes or ():
            if self.fields[field].reducer is None:
                error = GraphSetupError(
                    f"Node {spec.name!r} runs once for each item, and all write {field!r}, which has no reducer."
                )
                binder.mistake(error, "parallel_write", field, "Give the field one, as in Annotated[list[X], append].")

    def add_loop(
        self,
        name: str,
        *,
        back_to: str,
        until: Predicate,
        at_most: int,
        then: str = END,
        otherwise: str | None = None,
    ) -> Graph[StateT]:
        """After node `name`, go back until a condition holds, but at most so many times.

        The count starts at 0 with each run, and again whenever the loop is left.

        Args:
            name: The node whose result is looked at.
            back_to: Where the loop begins.
            until: True to leave; takes the state, or fields by parameter name.
            at_most: How often to go back, 0 or more.
            then: Where to go when the condition holds.
            otherwise: Where to go when the bound is reached first; default `then`.

        Raises:
            GraphSetupError: `at_most` is negative, or the node has a loop already.
        """
        if at_most < 0:
            raise GraphSetupError(f"Loop at {name!r}: at_most is {at_most}; it must be 0 or more.")
        loop = Loop(name, back_to, at_most, then, then if otherwise is None else otherwise)
        if name in self.loops:
            raise GraphSetupError(f"Node {name!r} has a loop already; put the second condition into its `until`.")
        binding = self._reads_of(until, name)
        router = LoopRouter(loop, Choice(binding.function, inputs_of(binding, self.fields)), self.targets)
        self.loops[name] = loop
        targets: PathMap = {target: target for target in (loop.back_to, loop.then, loop.otherwise)}
        self._branch(name, router, binding, targets)
        return self

    def add_conditional_edges(
        self,
        source: str,
        path: Callable[..., Any] | Callable[..., Awaitable[Any]] | Runnable[Any, Any],
        path_map: dict[Hashable, str] | Sequence[str] | None = None,
    ) -> Graph[StateT]:
        """Let a router choose what follows `source`.

        Args:
            source: The node, or `START`.
            path: Takes the state, or fields by parameter name; returns a node name, a key of `path_map`, a
                `Send`, or a list of these. The names in an object's own `routes` serve as `path_map`.
            path_map: Results to nodes, or the list of nodes. Default: the `Literal` that `path` returns.

        Raises:
            UnknownField: It reads a field that the state does not have.
        """
        binding = self._reads_of(path, source)
        name = str(getattr(path, "name", None) or getattr(path, "__name__", type(path).__name__))
        if name in self.branches[source]:
            name = f"{name} {len(self.branches[source]) + 1}"
        mapped = _path_map(path, path_map)
        choice = Choice(binding.function, inputs_of(binding, self.fields))
        self._branch(source, Router(name, source, choice, self.targets, mapped), binding, mapped)
        return self

    def _branch(self, source: str, router: Runnable[Any, Any], binding: Binding, targets: PathMap | None) -> None:
        name = cast(str, router.name)
        super().add_conditional_edges(source, router, targets)
        schema = reading_schema(binding, self.fields)
        self._add_schema(schema)
        self.branches[source][name] = self.branches[source][name]._replace(input_schema=schema)
        self.routers[source, name] = binding

    def _reads_of(self, function: Any, source: str) -> Binding:
        binding = reads_of(function, self.fields, source)
        self._note(binding.mistakes)
        return binding

    def add_edge(self, start_key: str | list[str], end_key: str) -> Graph[StateT]:
        """Continue with `end_key` after `start_key`, or after all of several.

        Raises:
            UnknownTarget: One of several start nodes, or their end, does not exist yet.
            GraphSetupError: The edge starts at END or ends at START.
        """
        starts = [start_key] if isinstance(start_key, str) else list(start_key)
        if END in starts or end_key == "__start__":
            raise GraphSetupError("An edge cannot start at END or end at START.")
        if isinstance(start_key, str):
            self.edges.add((start_key, end_key))
            return self
        for name in (*starts, end_key):
            if name not in self.nodes and name != END:
                where = f"Edge from {', '.join(map(repr, starts))}"
                self._mistake(
                    UnknownTarget(name, tuple(self.nodes), where), "unknown_target", name, "Add the node first."
                )
        self.waiting_edges.add((tuple(starts), end_key))
        return self

    def set_node_defaults(  # type: ignore[override]
        self,
        *,
        retry_policy: Retries | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: Callable[..., Any] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> Graph[StateT]:
        """Policies for nodes that have none of their own; not inherited by inner graphs."""
        if error_handler is not None:
            error_handler = guarded_handler(error_handler, Guard("error handler", self.fields, self.targets))
        super().set_node_defaults(  # pyright: ignore[reportUnknownMemberType] - LangGraph leaves it open
            retry_policy=retry_policy, cache_policy=cache_policy, error_handler=error_handler, timeout=timeout
        )
        return self

    def check(self) -> list[Finding]:
        """What is wrong with the graph, errors first; reads no file, calls no model, runs no node."""
        from .checks import check

        return check(self)

    def compile(
        self,
        checkpointer: bool | BaseCheckpointSaver[Any] | None = None,
        *,
        cache: BaseCache[Any] | None = None,
        store: BaseStore | None = None,
        interrupt_before: All | list[str] | None = None,
        interrupt_after: All | list[str] | None = None,
        debug: bool = False,
        name: str | None = None,
        transformers: Sequence[Callable[[tuple[str, ...]], Any]] | None = None,
        unjournaled_effects: bool = False,
    ) -> CompiledStateGraph[StateT, Any, Any, Any]:
        """The graph as LangGraph runs it.

        Args:
            checkpointer: LangGraph's, as all that follow.
            cache: For nodes with a cache policy.
            store: Long-term memory.
            interrupt_before: Nodes to stop before.
            interrupt_after: Nodes to stop after.
            debug: Print each step.
            name: Default the graph's.
            transformers: Of the event stream.
            unjournaled_effects: Let tools with effects run outside a Runner, where a crash may repeat them.

        Raises:
            CheckFailed: The checks found errors.
        """
        errors = [finding for finding in self.check() if finding.severity == "error"]
        if errors and is_collecting():
            return unrunnable(self)
        if errors:
            raise CheckFailed(self.name, errors)
        options: dict[str, Any] = {"cache": cache, "store": store, "debug": debug, "name": name or self.name}
        options |= {"interrupt_before": interrupt_before, "interrupt_after": interrupt_after}
        return compiled_from(self, checkpointer, {**options, "transformers": transformers}, unjournaled_effects)

    async def run(
        self,
        input: StateT | Mapping[str, Any],
        *,
        thread_id: str | None = None,
        approver: Callable[[Approval], Awaitable[Decision]] | None = None,
        model: Any = None,
        context: Any = None,
        policy: Policy | None = None,
        guards: Guards | None = None,
        budget: Budget | None = None,
        timeout_s: float | None = None,
    ) -> Run[StateT]:
        """Run to the end, or to the first question to a person, with a store in memory.

        Args:
            input: The state's inputs, as an object or a mapping.
            thread_id: The conversation that the run belongs to.
            approver: Answers each question; without it the run is returned waiting.
            model: Spec or model for agents that name none.
            context: The user's own object for tools and nodes.
            policy: Decides about tool calls; default the graph's.
            guards: Look at what passes; default the graph's.
            budget: Limits of the run.
            timeout_s: Seconds that it may be at work, without what it waits for people; then it fails.

        Raises:
            InvalidInput: The input does not fit the state.
            RunFailed: The run failed; the error carries it.
        """
        from .running import run_graph

        return await run_graph(
            self,
            input,
            thread_id=thread_id,
            approver=approver,
            model=model,
            context=context,
            policy=policy,
            guards=guards,
            budget=budget,
            timeout_s=timeout_s,
        )

    def run_sync(self, input: StateT | Mapping[str, Any], **options: Any) -> Run[StateT]:
        """`run` for scripts; where an event loop runs, await `run` instead."""
        return run_blocking(self.run(input, **options), door="Graph.run_sync")

    def add_migration(
        self,
        version: str,
        function: ValuesFunction | None = None,
        *,
        nodes: Mapping[str, str] | None = None,
        restart: Sequence[str] = (),
    ) -> Graph[StateT]:
        """Lead stored runs of an earlier version to the next one.

        Migrations are added oldest first: each leads to the version of the one after it, the last to the graph's own.

        Args:
            version: The version that the runs were stored with.
            function: Takes the stored field values as plain data (a dict; models and dataclasses as dicts, enums as
                their values, fields that nothing was written to left out) and returns those of the next version.
                It may be called more than once, so it must change nothing else. Default: the values stay.
            nodes: New names of nodes, by their old ones.
            restart: Nodes, by their new names, that begin anew where a run stands inside the graph in them.

        Raises:
            GraphSetupError: The version is the graph's own, or has a migration already.
        """
        if version == self.version:
            raise GraphSetupError(
                f"Version {version!r} is the graph's own. Give Graph(…, version=) the next one first."
            )
        if any(step.version == version for step in self.migrations):
            raise GraphSetupError(f"Version {version!r} has a migration already.")
        self.migrations.append(Migration(version, function, dict(nodes or {}), frozenset(restart)))
        return self

    def migration(
        self, version: str, *, nodes: Mapping[str, str] | None = None, restart: Sequence[str] = ()
    ) -> Callable[[ValuesT], ValuesT]:
        """Decorator form of `add_migration`."""

        def add(function: ValuesT) -> ValuesT:
            self.add_migration(version, function, nodes=nodes, restart=restart)
            return function

        return add

    @property
    def policy(self) -> Policy | None:
        """The policy given to the graph."""
        return self._policy

    @property
    def guards(self) -> Guards | None:
        """The guards given to the graph."""
        return self._guards

    def admit(self, input: StateT | Mapping[str, Any]) -> dict[str, Any]:
        """The input as field values, only those that the caller set.

        Raises:
            InvalidInput: A field is unknown, missing or refused.
        """
        return admit(self.fields, cast("type[BaseModel]", self.input_schema), input)

    def land(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of fields, each checked against its field.

        Raises:
            InvalidInput: A field is unknown or refused.
        """
        return changed(self.fields, values)

    def kept_fields(self) -> frozenset[str]:
        """Fields whose value a new run on the same thread starts from."""
        return frozenset(name for name, field in self.fields.items() if field.kept)

    def view(self, values: Mapping[str, Any]) -> StateT:
        """The typed state that channel values make; fields without a value hold their default."""
        return view(self.state_schema, self.fields, values)

    def shape(self) -> dict[str, Any]:
        """What stored runs depend on: fields and the classes in them, nodes, tools, and the state of inner graphs."""
        return shape_of(self.fields, self.bindings)

    def fingerprint(self) -> str:
        """SHA-256 of the shape; equal as long as stored runs can go on."""
        return digest(self.shape())

    def state_types(self) -> list[type]:
        """Every class that may stand in the state, those of inner graphs included."""
        return state_types(self)

    def tools(self) -> list[Tool]:
        """The tools of all nodes, those of inner graphs included, each once."""
        return tools_of(self.bindings)

    def _named(self, node: Any, action: Any) -> tuple[str, Any]:
        if not isinstance(node, str):
            node, action = (
                str(getattr(node, "__name__", None) or getattr(node, "name", None) or type(node).__name__),
                node,
            )
        if action is None:
            raise GraphSetupError(f"Node {node!r} has nothing to run: add_node(name, function).")
        return node, action

    def _place(self, binding: Binding, options: dict[str, Any], handler: Callable[..., Any] | None) -> Graph[StateT]:
        self._note(binding.mistakes)
        name = binding.name
        if name in self.nodes:
            error = GraphSetupError(f"There is a node {name!r} already; give this one another name.")
            self._mistake(error, "unknown_target", name, "Rename one of them.")
            return self
        over = self.maps[name].field if name in self.maps else ""
        step = step_for(binding, self.fields, self.targets, tuple(options.get("destinations") or ()), over)
        if options.get("timeout") is not None and isinstance(step, FunctionStep) and not step.is_async:
            raise GraphSetupError(f"Node {name!r} is sync, so its timeout cannot stop it; make it async.")
        guard = Guard(f"error handler of {name}", self.fields, self.targets)
        wrapped = guarded_handler(handler, guard) if handler is not None else None
        options["destinations"] = options.get("destinations") or binding.goto or None
        try:
            super().add_node(  # pyright: ignore[reportUnknownMemberType] - LangGraph leaves it open
                name, step, input_schema=reading_schema(binding, self.fields), error_handler=wrapped, **options
            )
        except ValueError as error:
            raise GraphSetupError(str(error)) from error
        self.bindings[name] = binding
        return self

    def _note(self, mistakes: list[Mistake]) -> None:
        if mistakes and not is_collecting():
            raise mistakes[0].error
        self.mistakes.extend(mistakes)

    def _mistake(self, error: Exception, code: Code, node: str | None, fix: str) -> None:
        self._note([Mistake(error, Finding(code, "error", node, None, str(error), fix))])


def _path_map(path: Any, given: Any) -> PathMap | None:
    if given is None:
        given = getattr(path, "routes", None)
        given = list(cast("Mapping[str, str]", given)) if isinstance(given, Mapping) else given
    if isinstance(given, Mapping):
        return dict(cast("Mapping[Hashable, str]", given))
    if isinstance(given, (list, tuple, set, frozenset)):
        return {name: name for name in cast("Sequence[str]", given)}
    if isinstance(path, Runnable):
        return None
    declared, _ = branch_targets(hints_of(path).get("return", UNTYPED))
    return {name: name for name in declared} if declared else None
