import operator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from collegium.core.errors import GraphSetupError, InvalidInput
from collegium.graphs import END, START, Graph, State, append, keep, merge_by_id


class Note(BaseModel):
    id: str
    text: str


class Notebook(State):
    topic: str
    notes: Annotated[list[Note], merge_by_id] = []
    words: Annotated[list[str], append, keep] = []
    total: Annotated[int, operator.add, Field(le=10)] = 5
    pair: tuple[int, str] | None = None


def say_nothing(topic: str) -> None: ...


def notebook() -> Graph[Notebook]:
    graph = Graph(Notebook, input=None)
    graph.add_node("idle", say_nothing)
    graph.add_edge(START, "idle")
    graph.add_edge("idle", END)
    return graph


@pytest.mark.parametrize("name", ["state", "config", "runtime", "store", "writer"])
def test_a_field_cannot_take_a_name_that_langgraph_uses(name: str) -> None:
    with pytest.raises(GraphSetupError, match=name):
        type("Bad", (State,), {"__annotations__": {name: str}, "__module__": __name__})


def test_a_field_cannot_begin_with_two_underscores() -> None:
    with pytest.raises(GraphSetupError, match="__hidden"):
        type("Bad", (State,), {"__annotations__": {"__hidden": str}, "__module__": __name__})


def test_an_unknown_field_is_refused_where_the_state_is_made() -> None:
    with pytest.raises(ValueError, match="extra"):
        Notebook.model_validate({"topic": "a", "topik": "b"})


def test_a_field_has_at_most_one_reducer() -> None:
    with pytest.raises(GraphSetupError, match="2 reducers"):
        type(
            "Bad",
            (State,),
            {"__annotations__": {"x": Annotated[list[int], operator.add, append]}, "__module__": __name__},
        )


def test_append_takes_a_list_or_one_item() -> None:
    assert append([1], [2, 3]) == [1, 2, 3]
    assert append([1], 2) == [1, 2]
    assert append(None, 2) == [2]


def test_merge_by_id_replaces_in_place_and_adds_at_the_end() -> None:
    old = [Note(id="a", text="1"), Note(id="b", text="2")]
    merged = merge_by_id(old, [Note(id="c", text="3"), Note(id="a", text="4")])
    assert [(note.id, note.text) for note in merged] == [("a", "4"), ("b", "2"), ("c", "3")]


def test_merge_by_another_key_works_on_dicts() -> None:
    by_name = merge_by_id("name")
    assert by_name([{"name": "x", "n": 1}], {"name": "x", "n": 2}) == [{"name": "x", "n": 2}]


def test_an_item_without_an_id_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="'id'"):
        merge_by_id([], [{"name": "x"}])


async def test_a_reduced_field_starts_from_its_default_and_not_from_zero() -> None:
    app: Any = notebook().compile()
    result = await app.ainvoke({"topic": "a", "total": 2})
    assert result["total"] == 7


def test_admit_gives_only_what_the_caller_set() -> None:
    assert notebook().admit(Notebook(topic="a")) == {"topic": "a"}
    assert notebook().admit({"topic": "a", "words": "one"}) == {"topic": "a", "words": ["one"]}


@pytest.mark.parametrize(
    ("given", "field", "hint"),
    [
        ({}, "topic", "missing"),
        ({"topic": 3}, "topic", "string"),
        ({"topic": "a", "topik": "b"}, "topik", "'topic'"),
        ({"topic": "a", "notes": [{"id": "x"}]}, "notes", "text"),
        ("topic", "input", "mapping"),
    ],
)
def test_bad_input_names_the_field_and_what_to_do(given: Any, field: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint) as caught:
        notebook().admit(given)
    assert caught.value.field == field


def test_kept_fields_are_those_marked_and_those_of_messages() -> None:
    assert notebook().kept_fields() == {"words"}


def test_view_makes_a_typed_state_and_fills_in_defaults() -> None:
    note = Note(id="a", text="1")
    state = notebook().view({"topic": "a", "notes": [note], "__loop__x": 3, "pair": [1, "b"]})
    assert isinstance(state, Notebook)
    assert state.notes[0] is note
    assert state.words == [] and state.total == 5
    assert state.pair == (1, "b")
    assert "words" not in state.model_fields_set


def test_fingerprint_changes_with_fields_and_nodes_and_with_nothing_else() -> None:
    one, same, other = notebook(), notebook(), notebook()
    other.add_node("more", say_nothing)
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert len(one.fingerprint()) == 64
    assert one.shape()["fields"]["pair"] == "tuple[int, str] | None"


def test_state_types_are_those_that_the_fields_reach() -> None:
    assert Note in notebook().state_types()
