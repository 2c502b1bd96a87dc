"""Types as schemas, and text back as values."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from collegium.models.schemas import NARROW, WIDE, schema_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    title: str
    colour: Colour = Colour.RED


class Tree(BaseModel):
    """A recursive type."""

    name: Annotated[str, Field(max_length=5)]
    children: list["Tree"] = []
    leaf: Leaf | None = None
    kind: Literal["a"] = "a"


class Cat(BaseModel):
    says: Literal["miau"]


class Dog(BaseModel):
    says: Literal["wau"]
    loud: bool


def objects(node: Any) -> list[dict[str, Any]]:
    """Every object schema below a node."""
    if isinstance(node, dict):
        here = [node] if node.get("type") == "object" else []  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return here + [o for v in node.values() for o in objects(v)]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return [o for v in node for o in objects(v)] if isinstance(node, list) else []  # pyright: ignore[reportUnknownVariableType]


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        (int, '{"value": 3}', 3),
        (str, '{"value": "x"}', "x"),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (Literal["a", "b"], '{"value": "b"}', "b"),
        (Colour, '{"value": "blue"}', Colour.BLUE),
        (Cat | Dog, '{"value": {"says": "wau", "loud": true}}', Dog(says="wau", loud=True)),
        (dict[str, int], '{"value": {"a": 1}}', {"a": 1}),
        (Leaf | None, '{"value": null}', None),
        (tuple[int, str], '{"value": [1, "a"]}', (1, "a")),
        (Leaf, '{"title": "t", "colour": "blue"}', Leaf(title="t", colour=Colour.BLUE)),
        (Tree, '{"name": "r", "children": [{"name": "c"}]}', Tree(name="r", children=[Tree(name="c")])),
    ],
)
def test_any_type_travels_as_an_object_and_comes_back(output: Any, text: str, value: Any) -> None:
    schema = schema_of(output, WIDE)
    assert schema.wire["type"] == "object"
    assert schema.parse(text) == value


def test_objects_are_closed_and_all_their_fields_required() -> None:
    wire = schema_of(Tree).wire
    found = objects(wire)
    assert found
    assert all(o["additionalProperties"] is False and o["required"] == list(o["properties"]) for o in found)
    assert schema_of(Tree).strict and not schema_of(dict[str, int]).strict


def test_a_field_may_be_called_like_a_keyword() -> None:
    assert "title" in schema_of(Leaf).wire["properties"]


def test_strings_and_lists_without_limits_get_them_for_local_models_only() -> None:
    class Note(BaseModel):
        text: str
        tags: list[str]
        word: Annotated[str, Field(max_length=9)]
        colour: Colour

    wire = schema_of(Note, NARROW).wire
    assert wire["properties"]["text"]["maxLength"] == NARROW.text
    assert wire["properties"]["tags"] == {
        "type": "array",
        "items": {"type": "string", "maxLength": NARROW.inner_text},
        "maxItems": NARROW.items,
    }
    assert wire["properties"]["word"]["maxLength"] == 9
    assert "maxLength" not in str(wire["$defs"])
    assert "maxItems" not in str(schema_of(Note).wire)


def test_a_string_as_long_as_its_limit_counts_as_cut() -> None:
    schema = schema_of(Leaf, NARROW)
    assert schema.is_cut('{"title": "%s"}' % ("a" * NARROW.text))
    assert not schema.is_cut('{"title": "%s"}' % ("a" * (NARROW.text - 1)))
    assert not schema_of(Leaf).is_cut('{"title": "%s"}' % ("a" * NARROW.text))


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"title": "t"}\n```',
        'Sure! Here it is:\n```\n{"title": "t"}\n```\nAnything else? {no}',
        'The answer is {"title": "t"}. Good luck!',
        '{"title": "t"} and {"title": "second"}',
        ' \n{"title": "t"}\n',
    ],
)
def test_json_is_found_in_the_talk_around_it(text: str) -> None:
    assert schema_of(Leaf).parse(text) == Leaf(title="t")


@pytest.mark.parametrize("text", ["", "no", "{}", '{"title": 3}', "[" * 5000, '{"title": "t"', "```json```"])
def test_text_without_a_valid_value_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        schema_of(Leaf).parse(text)


def test_types_that_cannot_be_hashed_work_too() -> None:
    output: Any = Annotated[Sequence[int], Field(json_schema_extra={"examples": [[1]]})]
    assert schema_of(output).parse('{"value": [1]}') == [1]
