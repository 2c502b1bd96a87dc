"""TARGET: from a word on the command line to a graph.

`path.py[:name]`, `module:name`, or the name of a shipped example; `name` is `graph` unless given.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.errors import CollegiumError, InvalidInput, UnknownTarget

DEFAULT_NAME = "graph"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a graph is defined."""

    module: str
    """Name that the module is imported by; the same in every process, as stored values refer to it."""
    path: Path | None
    """The file, when the module is loaded from one that is not importable by name."""
    name: str
    """The variable that holds the graph (or a function without parameters that makes it)."""
    text: str
    """What names this target from any folder; stored with a run."""
    folder: Path
    """Folder that imports start from."""

    @property
    def shown(self) -> str:
        """The target as a user reads it."""
        return str(self.path) if self.path else self.module


def parse_target(text: str, folder: Path | None = None) -> Target:
    """Find out what a TARGET means, without importing anything.

    Args:
        text: What the user wrote, or what a run has stored.
        folder: Where relative paths and modules start; default: the working directory.

    Raises:
        InvalidInput: No such file.
        UnknownTarget: No such example.
    """
    here = (folder or Path.cwd()).resolve()
    head, colon, tail = text.rpartition(":")
    where, name = (head, tail) if colon and tail.isidentifier() else (text, DEFAULT_NAME)
    if where.endswith(".py") or "/" in where or "\\" in where:
        return _from_file(here / where, name)
    if where in example_names():
        file = _example_file(where)
        suffix = "" if name == DEFAULT_NAME else f":{name}"
        return Target(_example_module(file), None, name, f"{where}{suffix}", here)
    if where is not text and all(part.isidentifier() for part in where.split(".")):
        return Target(where, None, name, text, here)
    raise UnknownTarget(text, example_names(), "TARGET (path.py[:name], module:name or an example)")


def load_target(target: Target) -> Any:
    """Import the module and return its graph.

    Raises:
        UnknownTarget: The module has no such name.
        InvalidInput: The module is not there, or fails while it is imported.
    """
    module = _imported(target)
    graph = getattr(module, target.name, None)
    if graph is None:
        raise UnknownTarget(target.name, graph_names(module), target.shown)
    if is_graph(graph):
        return graph
    if callable(graph) and not isinstance(graph, type):
        with _explained(target):
            graph = graph()
    if not is_graph(graph):
        raise InvalidInput("TARGET", f"{target.name!r} in {target.shown} is {type(graph).__name__}, not a graph.")
    return graph


def example_names() -> list[str]:
    """Names of the shipped examples."""
    home = examples_home()
    return sorted(path.name for path in home.iterdir() if (path / "graph.py").is_file()) if home.is_dir() else []


def examples_home() -> Path:
    """The folder of the shipped examples."""
    return (Path(__file__).parents[1] / "examples").resolve()


def is_graph(value: object) -> bool:
    """Whether a value can be run: a graph of ours, or LangGraph's, compiled or not."""
    from langgraph.graph import StateGraph
    from langgraph.pregel import Pregel

    return isinstance(value, (StateGraph, Pregel))


def graph_names(module: ModuleType) -> list[str]:
    """Names of the graphs that a module holds."""
    return [name for name, value in vars(module).items() if not name.startswith("_") and is_graph(value)]


def _from_file(path: Path, name: str) -> Target:
    path = path.resolve()
    if not path.is_file():
        raise InvalidInput("TARGET", f"there is no file {path}.")
    if path.is_relative_to(examples_home()):
        module, source = _example_module(path), None
    else:
        module, source = _module_name(path), path
    stored = f"{path}:{name}"
    return Target(module, source, name, stored, path.parent)


def _example_file(name: str) -> Path:
    return examples_home() / name / "graph.py"


def _example_module(path: Path) -> str:
    parts = path.relative_to(examples_home()).with_suffix("").parts
    return ".".join(("collegium", "examples", *parts))


def _module_name(path: Path) -> str:
    """The file's own name, as `import` in its folder has it, unless that name belongs to something else."""
    taken = importlib.util.find_spec(path.stem) if path.stem.isidentifier() else None
    if path.stem.isidentifier() and (taken is None or _is_file(taken.origin, path)):
        return path.stem
    return "".join(c if c.isalnum() else "_" for c in f"{path.parent.name}_{path.stem}")


def _is_file(origin: str | None, path: Path) -> bool:
    return origin is not None and Path(origin).resolve() == path


def _imported(target: Target) -> ModuleType:
    with _explained(target):
        if str(target.folder) not in sys.path:
            sys.path.insert(0, str(target.folder))
        if target.path is None:
            return importlib.import_module(target.module)
        return _loaded(target.module, target.path)


def _loaded(name: str, path: Path) -> ModuleType:
    present = sys.modules.get(name)
    if present is not None and _is_file(getattr(present, "__file__", None), path):
        return present
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _explained(target: Target) -> Generator[None]:
    """Whatever a user's module raises while it is imported becomes one line that says where."""
    try:
        yield
    except CollegiumError:
        raise
    except ModuleNotFoundError as error:
        if error.name and target.module.split(".")[0] == error.name.split(".")[0]:
            problem = f"there is no module {target.module!r}, seen from {target.folder}."
            raise InvalidInput("TARGET", problem) from error
        raise InvalidInput("TARGET", f"{target.shown} needs {error.name!r}, which is not installed.") from error
    except SyntaxError as error:
        raise InvalidInput("TARGET", f"{error.filename}, line {error.lineno}: {error.msg}.") from error
    except Exception as error:  # the user's own code ran here; anything may come
        raise InvalidInput("TARGET", f"{_place(error, target)}: {type(error).__name__}: {error}") from error


def _place(error: Exception, target: Target) -> str:
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(target.path)]
    return f"{target.shown}, line {own[-1].lineno}" if own else target.shown
