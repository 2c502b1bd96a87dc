"""What the build-time checks say, and how mistakes are gathered instead of raised."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from .lenient import lenient

Severity = Literal["error", "warning"]

Code = Literal[
    "unreachable_node",
    "dead_end",
    "unknown_target",
    "endless_loop",
    "unknown_field",
    "type_mismatch",
    "read_never_written",
    "write_never_read",
    "parallel_write",
    "edge_and_goto",
    "untyped_node",
    "effect_without_approval",
    "lethal_trifecta",
    "tool_not_granted",
    "unbounded_judge",
    "unserialisable_type",
    "stranded_run",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or looks wrong, with a graph."""

    code: Code
    severity: Severity
    node: str | None
    """The node concerned; inside a sub-graph, `outer/inner`."""
    field: str | None
    message: str
    fix: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.fix}"


_collecting: ContextVar[bool] = ContextVar("collegium_collecting", default=False)


@contextmanager
def collecting() -> Generator[None]:
    """Keep mistakes that `add_node` and its kin find, for `check()` to report, instead of raising the first.

    Plain LangGraph builders are lenient too, and `compile()` gives a graph that can be checked though not run.
    The command line loads a user's file inside this, so that one look shows everything:

        with collecting():
            graph = load(target)
        findings = check(graph)
    """
    token = _collecting.set(True)
    try:
        with lenient(is_collecting):
            yield
    finally:
        _collecting.reset(token)


def is_collecting() -> bool:
    """Whether mistakes are kept for `check()`."""
    return _collecting.get()


@dataclass(frozen=True, slots=True)
class Mistake:
    """An error found while a graph was built, and what `check()` says about it."""

    error: Exception
    finding: Finding
