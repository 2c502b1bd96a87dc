"""A run while it happens: a tree of its nodes with time and tokens, and the text as the model writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from .text import clean, one_line, plural, shortened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree

    from ..runs import Event

_TAIL = 400
"""Characters of a text in the making that are shown."""
_LONG = 20
"""Parts from which a step is told about while it lasts."""
_MARKS = {
    "running": ("●", "yellow"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "waiting": ("?", "yellow"),
}


@dataclass(slots=True)
class NodeLine:
    """What is known of one node: how often it ran, how long, with how many tokens."""

    path: str
    started: int = 0
    finished: int = 0
    failed: int = 0
    seconds: float = 0.0
    tokens: int = 0
    text: str = ""
    note: str = ""
    waiting: bool = False
    children: dict[str, NodeLine] = field(default_factory=dict["str", "NodeLine"])

    @property
    def state(self) -> str:
        """running, waiting, done or failed."""
        if self.failed:
            return "failed"
        if self.waiting:
            return "waiting"
        return "done" if self.finished >= self.started else "running"

    def facts(self) -> str:
        """Count, time and tokens."""
        many = f"{self.finished}/{self.started} times" if self.started > 1 else ""
        took = f"{self.seconds:.1f} s" if self.finished or self.failed else ""
        tokens = plural(self.tokens, "token") if self.tokens else ""
        return "  ".join(part for part in (many, took, tokens, self.note) if part)


class Progress:
    """Adds a run's events up to a tree of nodes."""

    def __init__(self) -> None:
        self.root = NodeLine("")
        self.seq = 0
        """The last stored event seen."""
        self.said = ""
        """The last word on the run itself: an approval asked or decided, a tool called."""

    def saw(self, event: Event) -> None:
        """Take one event into account."""
        self.seq = max(self.seq, event.seq)
        node = self._node(event.node) if event.node else self.root
        data = event.data
        match event.kind:
            case "node_started":
                node.started += 1
            case "node_finished":
                node.finished += 1
                node.seconds += float(data.get("duration_s") or 0.0)
                node.text = node.note = ""
            case "node_failed":
                node.failed += 1
                node.note = shortened(str(data.get("error", "")), 120)
            case "run_waiting":
                settle(self.root)
            case "model_called":
                node.tokens += int(data.get("input_tokens") or 0) + int(data.get("output_tokens") or 0)
            case "text_delta":
                node.text = (node.text + str(data.get("text", "")))[-_TAIL:]
            case _:
                node.note = note_of(event) or node.note

    def _node(self, path: str) -> NodeLine:
        node = self.root
        for name in path.split("/"):
            node = node.children.setdefault(name, NodeLine(f"{node.path}/{name}".lstrip("/")))
        return node


def settle(node: NodeLine) -> None:
    """Mark what is not finished as waiting for a person: it starts again when it is answered."""
    node.waiting = node.started > node.finished + node.failed
    for child in node.children.values():
        settle(child)


def note_of(event: Event) -> str:
    """What a node is at, where the event says; else nothing."""
    data = event.data

    def word(name: str) -> str:
        return one_line(str(data.get(name, "")))

    match event.kind:
        case "progress":
            return progress_note(data.get("text"), data.get("done"), data.get("total"))
        case "tool_called":
            return f"calls {word('tool')}"
        case "tool_result":
            return f"{word('tool')}: {word('status')}"
        case "model_retried":
            return f"tries again: {shortened(word('error'), 100)}"
        case "model_fell_back":
            return f"asks {word('to')} instead"
        case _:
            return ""


def progress_note(text: object, done: object, total: object) -> str:
    """`embedding 3/10`."""
    counted = f" {done}/{total}" if done is not None and total else ""
    return shortened(f"{text or ''}{counted}", 80)


class View(Protocol):
    """Shows a run's events to a person."""

    progress: Progress

    def saw(self, event: Event) -> None:
        """Show one event."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class TreeView:
    """A tree that is drawn again and again in place; after a pause it begins anew with what is new."""

    def __init__(self, console: Console, title: str) -> None:
        self.progress = Progress()
        self._console, self._title = console, title
        self._live: Live | None = None

    def saw(self, event: Event) -> None:
        """Take the event in; the next drawing shows it."""
        self.progress.saw(event)

    def __enter__(self) -> Self:
        from rich.live import Live

        self.progress.root = NodeLine("")
        self._live = Live(get_renderable=self.tree, console=self._console, refresh_per_second=8)
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def tree(self) -> Tree:
        """The tree as it stands."""
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(self._title, style="bold"), guide_style="dim")
        for child in self.progress.root.children.values():
            _grow(tree, child)
        return tree


class LineView:
    """A line for each node that ends; for pipes, logs and terminals that cannot draw."""

    def __init__(self, console: Console, title: str) -> None:
        self.progress = Progress()
        self._console, self._title = console, title
        self._begun = False
        self._told: dict[str, int] = {}
        """Quarters of a long step that were told, by its text."""

    def saw(self, event: Event) -> None:
        """Print what is worth a line."""
        from rich.text import Text

        self.progress.saw(event)
        match event.kind:
            case "node_finished":
                took = float(event.data.get("duration_s") or 0.0)
                self._console.print(Text(f"  ✓ {one_line(event.node or '')}  {took:.1f} s"))
            case "node_failed":
                self._console.print(Text(f"  ✗ {one_line(event.node or '')}  {one_line(str(event.data['error']))}"))
            case "progress":
                self._tell(event.data)
            case "tool_result":
                said = f"{event.data.get('tool')}: {event.data.get('status')}"
                self._console.print(Text(f"    {one_line(said)}"))
            case "approval_decided":
                said = f"{event.data.get('decision')} by {event.data.get('by')}"
                self._console.print(Text(f"  ! {one_line(said)}"))
            case _:
                pass

    def _tell(self, data: Mapping[str, Any]) -> None:
        """Say how far a long step is, four times at most."""
        done, total, text = data.get("done"), data.get("total"), str(data.get("text", ""))
        if not isinstance(done, int) or not isinstance(total, int) or total < _LONG:
            return
        what, quarter = text.split(" ")[0], 4 * done // total
        if quarter > self._told.get(what, 0):
            self._told[what] = quarter
            self._console.print(f"    {progress_note(text, done, total)}", style="dim")

    def __enter__(self) -> Self:
        if not self._begun:
            self._console.print(self._title)
        self._begun = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class SilentView:
    """Shows nothing; for `--json`."""

    def __init__(self) -> None:
        self.progress = Progress()

    def saw(self, event: Event) -> None:
        """Take the event in."""
        self.progress.saw(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def _grow(tree: Tree, node: NodeLine) -> None:
    branch = tree.add(_line(node))
    if node.text and node.state == "running":
        from rich.text import Text

        branch.add(Text(clean(node.text), style="italic"))
    for child in node.children.values():
        _grow(branch, child)


def _line(node: NodeLine) -> Text:
    from rich.text import Text

    mark, style = _MARKS[node.state]
    name = node.path.rpartition("/")[2]
    return Text.assemble((mark, style), " ", (one_line(name), "bold"), (f"  {node.facts()}", "dim"))
