"""INPUT, `--set` and `--input`: what was typed becomes field values, or one line that names the field."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel, Field

from collegium.cli.inputs import InputField, gather_input, input_fields
from collegium.core.errors import InvalidInput


class Order(BaseModel):
    order_id: str
    amount: Annotated[float, Field(gt=0)]


FIELDS = [
    InputField("limit", int, True),
    InputField("question", str, True),
    InputField("note", str | None, False),
    InputField("order", Order | None, False),
    InputField("kind", Literal["refund", "reply"], False),
    InputField("tags", list[str], False),
]


def test_input_goes_to_the_first_required_text_field() -> None:
    assert gather_input(FIELDS, "Why?", [], None) == {"question": "Why?"}


def test_input_goes_to_an_optional_text_field_when_no_required_one_is_left() -> None:
    assert gather_input(FIELDS, "Why?", ["question=How?"], None) == {"question": "How?", "note": "Why?"}


def test_settings_are_read_as_json_or_as_text_by_the_type_of_the_field() -> None:
    settings = [
        "limit=3",
        "question=42",
        'order={"order_id": "A-1", "amount": 5}',
        "kind=refund",
        'tags=["a"]',
    ]

    assert gather_input(FIELDS, None, settings, None) == {
        "limit": 3,
        "question": "42",
        "order": {"order_id": "A-1", "amount": 5},
        "kind": "refund",
        "tags": ["a"],
    }


def test_a_value_may_hold_an_equals_sign() -> None:
    assert gather_input(FIELDS, None, ["question=a=b"], None) == {"question": "a=b"}


@pytest.mark.parametrize(
    ("setting", "field", "problem"),
    [
        ("limit=many", "limit", "valid integer"),
        ("limt=3", "limt", "Did you mean 'limit'"),
        ("order={'order_id'", "order", "does not fit"),
        ('order={"order_id": "A-1", "amount": -5}', "order", "amount"),
        ("kind=theft", "kind", "refund"),
        ("limit", "--set", "not field=value"),
        ("tags=a", "tags", "list"),
    ],
)
def test_a_wrong_setting_names_its_field_on_one_line(setting: str, field: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        gather_input(FIELDS, None, [setting], None)

    assert caught.value.field == field
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_gives_fields_and_settings_win_over_it(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"question": "From the file", "limit": 1}), encoding="utf-8")

    assert gather_input(FIELDS, None, ["limit=2"], file) == {"question": "From the file", "limit": 2}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("{", "is not JSON"),
        ("[1]", "holds list"),
        ('{"qestion": 1}', "Did you mean 'question'"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, content: str | None, problem: str) -> None:
    file = tmp_path / "input.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")

    with pytest.raises(InvalidInput, match=problem):
        gather_input(FIELDS, None, [], file)


def test_without_a_text_field_input_is_refused_and_the_fields_are_named() -> None:
    with pytest.raises(InvalidInput, match="Fields: limit"):
        gather_input([InputField("limit", int, True)], "text", [], None)


class Shared(BaseModel):
    question: str
    answer: str = ""


class Loose(TypedDict, total=False):
    messages: list[Any]


def test_fields_are_read_from_pydantic_and_from_typed_dicts() -> None:
    from langgraph.graph import StateGraph

    typed: StateGraph[Any, Any, Any, Any] = StateGraph(Shared)
    loose: StateGraph[Any, Any, Any, Any] = StateGraph(Loose)

    assert [(f.name, f.required, f.takes_text) for f in input_fields(typed)] == [
        ("question", True, True),
        ("answer", False, True),
    ]
    assert [(f.name, f.required, f.takes_text) for f in input_fields(loose)] == [("messages", False, False)]
