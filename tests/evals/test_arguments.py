"""`eval tools`: accepted calls written out, and broken ones that the schema itself refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from collegium.core.errors import InvalidInput
from collegium.evals.arguments import measure_arguments, read_cases
from collegium.evals.arguments.mutations import mutations

TOOL = {
    "name": "shop.order",
    "parameters": {
        "type": "dict",
        "properties": {
            "what": {"type": "string", "enum": ["rye", "oat"]},
            "count": {"type": "integer", "enum": [1, 2], "default": 1},
            "weight": {"type": "float"},
            "to": {"type": "dict", "properties": {"street": {"type": "string"}}, "required": ["street"]},
            "marks": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["what", "to"],
    },
}
ACCEPTED = {"what": ["rye"], "count": ["", 1], "weight": [2], "to": [{"street": ["High", "High St"]}], "marks": [["x"]]}


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "cases.jsonl"
    path.write_text(json.dumps({"id": "one", "tools": [TOOL], "accepted": [{"shop.order": ACCEPTED}], **changed}))
    return path


def test_each_alternative_becomes_a_call_and_what_may_be_left_out_is_left_out(tmp_path: Path) -> None:
    calls = [case.arguments for case in read_cases(written(tmp_path))]

    whole = {"what": "rye", "count": 1, "weight": 2, "to": {"street": "High"}, "marks": ["x"]}
    without = {name: value for name, value in whole.items() if name != "count"}
    assert calls == [whole, without, {**whole, "to": {"street": "High St"}}]


def test_every_mutation_breaks_the_schema_by_the_word_of_another_library(tmp_path: Path) -> None:
    case = read_cases(written(tmp_path))[0]
    made = list(mutations(case.schema, case.arguments))

    assert {one.broken for one in made} == {"missing", "surplus", "type", "null", "enum"}
    assert {"to.street", "marks.0", "count"} <= {one.place for one in made}
    validator = Draft202012Validator(case.schema)
    assert [one for one in made if validator.is_valid(one.arguments)] == []  # pyright: ignore[reportUnknownMemberType]


def test_both_forms_of_a_tool_pass_what_is_right_and_refuse_what_is_broken(tmp_path: Path) -> None:
    for found in measure_arguments(read_cases(written(tmp_path))):
        assert (found.passed, found.accepted, found.contradicting) == (3, 3, 0)
        assert found.refused == found.broken
        assert found.wrong == []


def test_a_call_that_contradicts_its_own_schema_is_not_counted(tmp_path: Path) -> None:
    odd = {**ACCEPTED, "what": ["rice"]}

    for found in measure_arguments(read_cases(written(tmp_path, accepted=[{"shop.order": odd}]))):
        assert (found.accepted, found.contradicting) == (0, 3)


def test_a_line_of_another_form_is_named(tmp_path: Path) -> None:
    odd: list[Any] = [7, [{"other": {}}], [{"shop.order": {"what": 7}}]]

    for accepted in odd:
        with pytest.raises(InvalidInput, match="one"):
            read_cases(written(tmp_path, accepted=accepted))
