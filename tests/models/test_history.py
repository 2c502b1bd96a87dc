"""Conversations are cut so that they fit, make sense, and begin as they did the turn before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.core.errors import InvalidInput
from collegium.core.messages import Message, ToolCall, assistant, system, user
from collegium.models import Capabilities, History, estimate_prompt
from collegium.testing import ScriptedModel

RULES, TASK = system("You help."), user("Find the bug.")


def a_model(window: int | None = 600, answers: list[object] | None = None) -> ScriptedModel:
    return ScriptedModel(answers or [], capabilities=Capabilities(context_tokens=window))


def a_turn(number: int, words: int = 40) -> list[Message]:
    """One call and its result."""
    call = ToolCall(f"c{number}", "look", f'{{"page": {number}}}')
    result = Message(
        "tool", f"page {number}: " + "word " * words, tool_call_id=f"c{number}", origins=frozenset({"tool"})
    )
    return [assistant("", [call]), result]


def a_talk(turns: int, words: int = 40) -> list[Message]:
    return [RULES, TASK, *(message for number in range(turns) for message in a_turn(number, words))]


async def test_a_conversation_that_fits_is_left_alone() -> None:
    talk = a_talk(2)

    assert await History().fitted(talk, a_model()) is talk
    assert await History().fitted(a_talk(90), a_model(window=None)) == a_talk(90)
    assert await History("refuse").fitted(a_talk(90), a_model()) == a_talk(90)


async def test_the_oldest_turns_go_and_the_task_stays_with_a_note() -> None:
    fitted = await History().fitted(a_talk(30), a_model())

    assert fitted[0] == RULES
    left_out = 62 - len(fitted)
    assert fitted[1].content == f"Find the bug.\n\n[{left_out} earlier messages are left out here.]"
    assert list(fitted[2:]) == a_talk(30)[-len(fitted) + 2 :]
    assert estimate_prompt(fitted) < 600 - 200


async def test_what_is_left_out_still_counts_as_read() -> None:
    fitted = await History().fitted(a_talk(30), a_model())

    assert fitted[1].origins == frozenset({"tool"})


async def test_between_two_cuts_each_prompt_begins_as_the_one_before() -> None:
    model, begun = a_model(window=2000), 0
    before: list[Message] = []
    for turns in range(1, 60):
        fitted = list(await History().fitted(a_talk(turns), model))
        begun += fitted[: len(before)] != before
        before = fitted

    assert 2 <= begun <= 8  # a window that slides would begin anew at every turn once it is full


async def test_one_result_that_is_longer_than_the_window_is_cut_in_its_middle() -> None:
    talk = [RULES, TASK, *a_turn(0, words=5000)]

    fitted = await History().fitted(talk, a_model())

    assert fitted[3].content.startswith("page 0: word") and "characters are left out here.]" in fitted[3].content
    assert fitted[3].tool_call_id == "c0"
    assert estimate_prompt(fitted) < 600


async def test_a_summary_takes_the_place_of_what_is_left_out_and_is_made_once() -> None:
    model = a_model(1200, ["Pages 0 to 4 hold nothing."])
    first = await History("summarise").fitted(a_talk(12), model)
    again = await History("summarise").fitted(a_talk(12), model)

    assert "earlier messages:]\nPages 0 to 4 hold nothing." in first[1].content
    assert first == again
    assert len(model.calls) == 1
    assert "page 0: word" in model.calls[0].prompt


async def test_a_later_summary_goes_on_from_the_earlier_one() -> None:
    model = a_model(1200, ["First summary.", "Second summary."])
    short, turns = a_talk(11, words=41), 11
    while "Second summary." not in (await History("summarise").fitted(short, model))[1].content:
        turns += 1
        short = a_talk(turns, words=41)

    assert "First summary." in model.calls[1].prompt
    assert "page 0:" not in model.calls[1].prompt


async def test_a_tiny_model_is_not_asked_for_a_summary() -> None:
    tiny = ScriptedModel([], capabilities=replace(Capabilities(context_tokens=600), level="tiny"))

    fitted = await History("summarise").fitted(a_talk(30), tiny)

    assert "are left out here.]" in fitted[1].content


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["call", "say", "user"]), st.integers(0, 400)), max_size=40),
    st.integers(300, 3000),
)
async def test_whatever_was_said_fits_and_calls_stay_with_their_results(
    told: list[tuple[str, int]], window: int
) -> None:
    talk = [RULES, TASK]
    for number, (kind, words) in enumerate(told):
        if kind == "call":
            talk += a_turn(number, words)
        else:
            talk.append(assistant("word " * words) if kind == "say" else user("word " * words))

    fitted = await History().fitted(talk, a_model(window))

    assert estimate_prompt(fitted) <= window
    assert fitted[0] == RULES and fitted[1].content.startswith("Find the bug.")
    open_calls: set[str] = set()
    for message in fitted:
        if message.role == "tool":
            assert message.tool_call_id in open_calls
        open_calls |= {call.call_id for call in message.tool_calls}
    assert fitted[-1].role == talk[-1].role


@pytest.mark.parametrize(
    ("given_", "named"), [({"keep": 1.0}, "history.keep"), ({"answer_tokens": 0}, "answer_tokens")]
)
def test_a_history_that_cannot_work_is_refused_by_name(given_: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        History(**given_)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - what a caller may give
