import operator
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph.message import add_messages
from pydantic import BaseModel, Field

from collegium.core.errors import GraphSetupError, InvalidInput
from collegium.graphs import END, START, Graph, State, append, at_most, keep, merge_by_id
from collegium.runs import Runner


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


def test_at_most_lets_the_oldest_quarter_go_when_the_list_is_too_long() -> None:
    newest = at_most(8)
    assert newest(list(range(7)), 7) == list(range(8))
    assert newest(list(range(8)), 8) == [3, 4, 5, 6, 7, 8]
    assert newest(None, list(range(100))) == [94, 95, 96, 97, 98, 99]
    assert at_most(1)([1], 2) == [2]


def test_at_most_works_on_top_of_other_reducers() -> None:
    by_name = at_most(2, merge_by_id("name"))
    assert by_name([{"name": "x"}, {"name": "y"}], {"name": "x", "n": 2}) == [{"name": "x", "n": 2}, {"name": "y"}]
    assert by_name([{"name": "x"}, {"name": "y"}], {"name": "z"}) == [{"name": "y"}, {"name": "z"}]
    assert at_most(3) == at_most(3, append) != at_most(4)


def called(number: int, results: int) -> list[Any]:
    calls: list[Any] = [{"name": "look", "args": {}, "id": f"{number}.{place}"} for place in range(results)]
    answers = [ToolMessage("seen", tool_call_id=call["id"]) for call in calls]
    return [AIMessage("", tool_calls=calls), *answers]


@pytest.mark.parametrize("count", range(1, 14))
@pytest.mark.parametrize("results", [1, 2, 5])
def test_shortened_messages_never_begin_with_a_result_whose_call_is_gone(count: int, results: int) -> None:
    reducer = at_most(count, add_messages)
    messages: list[Any] = [SystemMessage("Be brief.")]
    for number in range(12):
        messages = reducer(messages, [HumanMessage("Look."), *called(number, results)])
        known = {call["id"] for message in messages if isinstance(message, AIMessage) for call in message.tool_calls}
        assert {message.tool_call_id for message in messages if isinstance(message, ToolMessage)} <= known
        assert messages
        assert len(messages) <= max(count, results + 2)
        assert (messages[0].type == "system") == (count > 1)


def test_at_most_is_for_lists_and_for_more_than_nothing() -> None:
    with pytest.raises(GraphSetupError, match="at_most"):
        at_most(0)
    with pytest.raises(GraphSetupError, match="no list"):
        type("Bad", (State,), {"__annotations__": {"x": Annotated[int, at_most(3)]}, "__module__": __name__})


class Talk(State):
    messages: Annotated[list[AnyMessage], at_most(5, add_messages), keep] = []
    seen: Annotated[list[str] | None, at_most(3)] = None


async def test_a_thread_keeps_at_most_so_many_messages() -> None:
    graph = Graph(Talk, name="talk")

    async def reply(messages: list[AnyMessage]) -> dict[str, Any]:
        return {"messages": "Yes.", "seen": str(messages[-1].content)}

    graph.add_node("reply", reply, writes=["messages", "seen"])
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    assert graph.check() == []
    async with Runner(":memory:", graphs=[graph]) as runner:
        run = await runner.start(graph, {"messages": [HumanMessage("0")]}, thread_id="ada")
        for number in range(1, 6):
            await run.wait()
            run = await runner.start(graph, {"messages": [HumanMessage(f"{number}")]}, thread_id="ada")
        run = await run.wait()
    assert [message.content for message in run.state.messages][-2:] == ["5", "Yes."]
    assert 2 <= len(run.state.messages) <= 5
    assert run.state.seen == ["5"]
