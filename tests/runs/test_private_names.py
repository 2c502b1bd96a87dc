"""The private names of LangGraph that Collegium uses mean what they meant; an upgrade that changes them fails here."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph._internal import _constants
from langgraph.graph import state

from collegium.runs import private


class Note(TypedDict, total=False):
    text: str


def same(note: Note) -> Note:
    return note


def test_the_config_keys_that_lend_a_saver_and_make_resume_strict_are_langgraphs() -> None:
    assert private.CHECKPOINTER == _constants.CONFIG_KEY_CHECKPOINTER
    assert private.STRICT_RESUME == _constants.CONFIG_KEY_STRICT_RESUME


def test_the_channels_through_which_nodes_are_called_are_langgraphs() -> None:
    assert private.BRANCH == state._CHANNEL_BRANCH_TO.format("")  # pyright: ignore[reportPrivateUsage] - what is pinned here
    assert private.TASKS == _constants.TASKS


def test_the_channel_that_waits_for_several_nodes_has_the_name_that_stored_runs_are_read_by() -> None:
    graph: Any = state.StateGraph(Note)
    for name in ("a", "b", "c"):
        graph.add_node(name, same)
    graph.add_edge("__start__", "a")
    graph.add_edge("__start__", "b")
    graph.add_edge(["a", "b"], "c")
    assert f"{private.JOIN}a+b:c" in graph.compile().channels
