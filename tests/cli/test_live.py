"""The live view: what a run's events add up to."""

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from collegium.cli.live import LineView, Progress, TreeView
from collegium.runs import Event


def event(kind: Any, node: str | None = None, seq: int = 1, **data: Any) -> Event:
    return Event("run-1", seq, kind, node, datetime(2030, 1, 1, tzinfo=UTC), data)


def shown(view: TreeView) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(view.tree())
    return out.getvalue()


def test_a_node_collects_its_time_and_its_tokens() -> None:
    view = TreeView(Console(file=io.StringIO()), "briefing")
    view.saw(event("node_started", "plan"))
    view.saw(event("model_called", "plan", input_tokens=100, output_tokens=20))
    view.saw(event("node_finished", "plan", duration_s=1.25))

    assert "✓ plan  1.2 s  120 tokens" in shown(view)


def test_text_is_shown_while_it_comes_and_gone_when_the_node_is_done() -> None:
    view = TreeView(Console(file=io.StringIO()), "briefing")
    view.saw(event("node_started", "write"))
    view.saw(event("text_delta", "write", seq=0, text="The ans"))
    view.saw(event("text_delta", "write", seq=0, text="wer\x1b[2J"))

    assert "The answer\\x1b[2J" in shown(view)

    view.saw(event("node_finished", "write", duration_s=0.1))
    assert "The answer" not in shown(view)


def test_the_items_of_a_map_are_counted_on_one_line() -> None:
    view = TreeView(Console(file=io.StringIO()), "briefing")
    for _ in range(3):
        view.saw(event("node_started", "retrieve"))
    view.saw(event("node_finished", "retrieve", duration_s=0.5))

    assert "● retrieve  1/3 times  0.5 s" in shown(view)


def test_a_node_that_asks_a_person_is_marked_until_it_goes_on() -> None:
    view = TreeView(Console(file=io.StringIO()), "briefing")
    view.saw(event("node_started", "review"))
    view.saw(event("run_waiting", approvals=["ap-1"]))

    assert "? review" in shown(view)


def test_nodes_of_a_graph_within_stand_under_it() -> None:
    view = TreeView(Console(file=io.StringIO()), "briefing")
    view.saw(event("node_started", "act"))
    view.saw(event("node_started", "act/propose"))
    view.saw(event("node_failed", "act/propose", error="model is away", duration_s=0.1))

    lines = shown(view).splitlines()
    assert lines[1].startswith("└── ● act")
    assert "✗ propose" in lines[2]
    assert "model is away" in lines[2]


def test_the_place_in_the_event_log_only_grows() -> None:
    progress = Progress()
    for seq in (1, 2, 0, 3, 0):
        progress.saw(event("progress", "read", seq=seq, text="reading", done=1, total=2))

    assert progress.seq == 3


def test_without_a_terminal_each_node_is_a_line() -> None:
    out = io.StringIO()
    view = LineView(Console(file=out, width=100), "briefing  run-1")
    with view:
        view.saw(event("node_started", "plan"))
        view.saw(event("node_finished", "plan", duration_s=1.0))
        view.saw(event("tool_result", "save", tool="save_report", status="ok"))
        view.saw(event("approval_decided", decision="approve", by="ada"))

    assert out.getvalue().splitlines() == [
        "briefing  run-1",
        "  ✓ plan  1.0 s",
        "    save_report: ok",
        "  ! approve by ada",
    ]
