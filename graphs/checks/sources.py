"""What the source of a plain function tells: the fields that it reads and returns, and where it goes.

Only plain spellings are understood (`state["x"]`, `state.x`, `return {"x": …}`, `Command(goto="y")`); anything
else counts as unknown, never as absent.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..ports import plain_function

UNKNOWN = object()


@dataclass(slots=True)
class Facts:
    """What the source of one function tells."""

    found: bool = False
    """Whether there was a source to read."""
    reads: set[str] = field(default_factory=set[str])
    """Fields that it surely reads from its state parameter."""
    reads_more: bool = False
    """Whether it does something else with the state."""
    writes: set[str] | None = None
    """Keys of the mappings that it returns; None when not all returns are understood."""
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    """Returned keys whose value is a constant."""
    may_get: set[str] = field(default_factory=set[str])
    """Fields that it asks for with `state.get(…)`."""
    goto: set[str] = field(default_factory=set[str])
    goto_unknown: bool = False
    forks: list[set[str]] = field(default_factory=list[set[str]])
    """Nodes that one command goes to together."""
    leaves: bool = False
    """Whether a command goes to a node of the graph around this one."""
    leads_out: set[str] = field(default_factory=set[str])
    """The names of such nodes; empty when they are not known."""
    sends: set[str] = field(default_factory=set[str])
    choices: set[str] | None = None
    """For a router: the names that it returns; None when not all are understood."""
    several: bool = False
    """For a router: whether it returns a list."""


@functools.lru_cache(maxsize=1024)
def facts_of(function: Any, parameter: str | None) -> Facts:
    """Reads the source of `function`, whose state parameter is called `parameter`."""
    target = plain_function(function)
    tree = _tree(target)
    if tree is None:
        return Facts()
    names = {**getattr(target, "__globals__", {}), **_closure(target)}
    return _Reader(tree, parameter, names).facts()


def _closure(target: Any) -> dict[str, Any]:
    try:
        return dict(inspect.getclosurevars(target).nonlocals)
    except (TypeError, ValueError):
        return {}


def _tree(target: Any) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None:
    try:
        source = textwrap.dedent(inspect.getsource(target)).strip()
    except (OSError, TypeError):
        return None
    module = _parsed(source)
    if module is None:
        return None
    if getattr(target, "__name__", "") == "<lambda>":
        lambdas = [node for node in ast.walk(module) if isinstance(node, ast.Lambda)]
        return lambdas[0] if len(lambdas) == 1 else None
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return next((node for node in ast.walk(module) if isinstance(node, functions)), None)


def _parsed(source: str) -> ast.Module | None:
    # The lines of a lambda may begin in the middle of a call.
    for text in (source, f"({source.rstrip(',')})", f"_{source[source.find('.') :]}" if "." in source else ""):
        try:
            return ast.parse(text)
        except SyntaxError:
            continue
    return None


class _Reader:
    """Walks one function."""

    def __init__(
        self, tree: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, parameter: str | None, names: dict[str, Any]
    ) -> None:
        self.tree, self.parameter, self.names = tree, parameter, names
        self.nodes = list(_own_nodes(tree))
        self.result = Facts(found=True)

    def facts(self) -> Facts:
        if self.parameter is not None:
            self._read_state(self.parameter)
        self._read_sends()
        values = self._returned()
        self._read_writes(values)
        self._read_choices(values)
        for node in self.nodes:
            if isinstance(node, ast.Call) and _called(node) == "Command":
                self._read_goto(node)
        return self.result

    def _returned(self) -> list[ast.expr | None]:
        if isinstance(self.tree, ast.Lambda):
            return [self.tree.body]
        return [node.value for node in self.nodes if isinstance(node, ast.Return)]

    def _read_state(self, parameter: str) -> None:
        understood: set[int] = set()
        whole = [*self.nodes, *_nested(self.tree)]
        for node in whole:
            name = self._field_read(node, parameter)
            if name is not None and isinstance(node, (ast.Subscript, ast.Attribute)):
                understood.add(id(node.value))
                if isinstance(node.ctx, ast.Load) and name:
                    self.result.reads.add(name)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("get", "model_copy") and _is_name(node.func.value, parameter):
                    understood.add(id(node.func.value))
                    self.result.reads.discard(node.func.attr)
                    if node.func.attr == "get" and node.args:
                        self.result.may_get |= self._strings(node.args[0]) or set()
        self.result.reads -= {"get", "model_copy", "model_dump", "keys", "items", "values"}
        uses = (node for node in whole if isinstance(node, ast.Name) and node.id == parameter)
        self.result.reads_more = (
            any(id(node) not in understood for node in uses)
            or any(
                isinstance(node, ast.Attribute)
                and node.attr in ("model_dump", "items", "values")
                and _is_name(node.value, parameter)
                for node in whole
            )
            or any(_is_get(node, parameter) for node in whole)
        )

    @staticmethod
    def _field_read(node: ast.AST, parameter: str) -> str | None:
        if isinstance(node, ast.Attribute) and _is_name(node.value, parameter):
            return node.attr
        if isinstance(node, ast.Subscript) and _is_name(node.value, parameter):
            key = node.slice
            return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
        return None

    def _read_sends(self) -> None:
        for node in [*self.nodes, *_nested(self.tree)]:
            if isinstance(node, ast.Call) and _called(node) == "Send" and node.args:
                self.result.sends |= self._strings(node.args[0]) or set()

    def _read_writes(self, values: list[ast.expr | None]) -> None:
        keys: set[str] = set()
        for value in values:
            found = self._keys(value)
            if found is None:
                return
            keys |= found
        self.result.writes = keys

    def _keys(self, value: ast.expr | None) -> set[str] | None:
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            return set()
        if isinstance(value, ast.IfExp):
            one, other = self._keys(value.body), self._keys(value.orelse)
            return None if one is None or other is None else one | other
        if isinstance(value, ast.Dict):
            return self._dict_keys(value)
        if isinstance(value, ast.Call) and _called(value) == "dict" and not value.args:
            return {word.arg for word in value.keywords if word.arg} if all(w.arg for w in value.keywords) else None
        if isinstance(value, ast.Call) and _called(value) == "Command":
            update = next((word.value for word in value.keywords if word.arg == "update"), None)
            return self._keys(update)
        return self._filled(value.id) if isinstance(value, ast.Name) else None

    def _filled(self, name: str) -> set[str] | None:
        """The keys of a mapping that a variable holds, where all that is done with it is plain."""
        keys: set[str] = set()
        plain: set[int] = set()
        for node in self.nodes:
            if isinstance(node, ast.Return) and node.value is not None:
                plain.add(id(node.value))
            elif isinstance(node, ast.Subscript) and _is_name(node.value, name):
                found = self._strings(node.slice)
                if found is None:
                    return None
                keys |= found if isinstance(node.ctx, ast.Store) else set()
                plain.add(id(node.value))
            elif (given := _assigned(node, name)) is not None:
                found = self._dict_keys(given) if isinstance(given, ast.Dict) else None
                if found is None:
                    return None
                keys |= found
                plain.update(id(target) for target in ast.walk(node) if _is_name(target, name))
        uses = [node for node in [*self.nodes, *_nested(self.tree)] if _is_name(node, name)]
        return keys if uses and all(id(use) in plain for use in uses) else None

    def _dict_keys(self, value: ast.Dict) -> set[str] | None:
        keys: set[str] = set()
        for key, item in zip(value.keys, value.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            keys.add(key.value)
            if isinstance(item, ast.Constant):
                self.result.constants[key.value] = item.value
        return keys

    def _read_goto(self, call: ast.Call) -> None:
        goto = next((word.value for word in call.keywords if word.arg == "goto"), None)
        outward = any(word.arg == "graph" and not _is_none(word.value) for word in call.keywords)
        self.result.leaves |= outward
        if goto is None:
            return
        found = self._strings(goto)
        if isinstance(goto, (ast.List, ast.Tuple)) and found and len(found) > 1 and not outward:
            self.result.forks.append(found)
        if outward:
            self.result.leads_out |= found or set()
        elif found is None:
            self.result.goto_unknown = True
        else:
            self.result.goto |= found

    def _read_choices(self, values: list[ast.expr | None]) -> None:
        choices: set[str] = set()
        known = True
        for value in values:
            if isinstance(value, (ast.List, ast.Tuple, ast.ListComp)):
                self.result.several = True
            found = self._strings(value) if value is not None else None
            known = known and found is not None
            choices |= found or set()
        self.result.choices = choices if known else None

    def _strings(self, value: ast.expr) -> set[str] | None:
        """The names that an expression may be; sends count as nothing; None when unknown."""
        if isinstance(value, ast.Constant):
            return {value.value} if isinstance(value.value, str) else None
        if isinstance(value, ast.Name):
            return self._named(value.id)
        if isinstance(value, ast.IfExp):
            return self._all([value.body, value.orelse])
        if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            return self._all(value.elts)
        if isinstance(value, ast.ListComp):
            return self._strings(value.elt)
        if isinstance(value, ast.Call) and _called(value) == "Send":
            return set()
        return None

    def _all(self, values: list[ast.expr]) -> set[str] | None:
        found = [self._strings(value) for value in values]
        known = [names for names in found if names is not None]
        return set[str]().union(*known) if len(known) == len(found) else None

    def _named(self, name: str) -> set[str] | None:
        assigned = [
            node.value
            for node in self.nodes
            if isinstance(node, ast.Assign) and any(_is_name(target, name) for target in node.targets)
        ]
        if assigned:
            return self._all(assigned) if not any(_is_name(value, name) for value in assigned) else None
        value = self.names.get(name, UNKNOWN)
        return {value} if isinstance(value, str) else None


def _own_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    body = [tree.body] if isinstance(tree, ast.Lambda) else getattr(tree, "body", [])
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop(0)
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo.extend(ast.iter_child_nodes(node))


def _nested(tree: ast.AST) -> list[ast.AST]:
    """The nodes of functions inside a function."""
    own = {id(node) for node in _own_nodes(tree)}
    body = [tree.body] if isinstance(tree, ast.Lambda) else getattr(tree, "body", [])
    return [node for part in body for node in ast.walk(part) if id(node) not in own]


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _assigned(node: ast.AST, name: str) -> ast.expr | None:
    """What a statement assigns to a variable."""
    if isinstance(node, ast.Assign) and any(_is_name(target, name) for target in node.targets):
        return node.value
    if isinstance(node, (ast.AnnAssign, ast.AugAssign)) and _is_name(node.target, name):
        return node.value
    return None


def _is_get(node: ast.AST, parameter: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr == "get" and _is_name(node.func.value, parameter))
    )


def _called(call: ast.Call) -> str:
    function: ast.AST = call.func
    if isinstance(function, ast.Subscript):
        function = function.value
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
