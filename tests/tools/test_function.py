"""From a function to a tool: schema, validation, declarations, calls."""

import threading
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from collegium.core.errors import InvalidArguments, InvalidTool
from collegium.tools import IdempotencyKey, Tool, ToolContext, as_tools, tool


class Parcel(BaseModel):
    weight_kg: float
    label: str = "plain"


@dataclass
class Deps:
    tenant: str


CONTEXT: ToolContext[Any] = ToolContext(Deps("acme"), "run-1", "thread-1", "call-1", IdempotencyKey("key-1"))


@tool
async def send_briefing(to: str, body: str, copies: int = 1, urgency: Literal["low", "high"] = "low") -> str:
    """Mail the briefing
    to one person.

    It goes out at once.

    Args:
        to: Address of the person.
        body (str): The text,
            over several lines.
    """
    return f"{to}: {body} x{copies} {urgency}"


def test_schema_comes_from_annotations_and_docstring() -> None:
    assert send_briefing.spec() == {
        "name": "send_briefing",
        "description": "Mail the briefing to one person.",
        "parameters": {
            "additionalProperties": False,
            "properties": {
                "to": {"description": "Address of the person.", "type": "string"},
                "body": {"description": "The text, over several lines.", "type": "string"},
                "copies": {"default": 1, "type": "integer"},
                "urgency": {"default": "low", "enum": ["low", "high"], "type": "string"},
            },
            "required": ["to", "body"],
            "type": "object",
        },
    }


def test_undeclared_tool_is_unsafe_and_of_high_risk() -> None:
    assert (send_briefing.effect, send_briefing.risk, send_briefing.timeout_s) == ("unsafe", "high", 30)
    assert isinstance(send_briefing, Tool)


async def test_body_stays_callable_for_a_unit_test() -> None:
    assert await send_briefing.fn("ada", "hello") == "ada: hello x1 low"


def test_validation_fills_in_defaults_so_that_the_digest_covers_them() -> None:
    assert send_briefing.validate({"to": "ada", "body": "hi"}) == {
        "to": "ada",
        "body": "hi",
        "copies": 1,
        "urgency": "low",
    }


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"to": "ada"}, "'body' is missing"),
        ({"to": "ada", "body": "hi", "copy": 2}, "no argument 'copy'"),
        ({"to": "ada", "body": "hi", "copies": "12abc"}, "'copies'"),
        ({"to": "ada", "body": "hi", "copies": "12"}, "'copies'"),
        ({"to": "ada", "body": "hi", "copies": True}, "'copies'"),
        ({"to": "ada", "body": 5}, "'body'"),
        ({"to": "ada", "body": "hi", "urgency": "medium"}, "'urgency'"),
        ({"to": "ada", "body": "hi", "copies": float("nan")}, "JSON"),
        ({"to": "ada", "body": object()}, "JSON"),
        ({"arg_to": "ada", "to": "ada", "body": "hi"}, "no argument 'arg_to'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(arguments: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidArguments, match=names):
        send_briefing.validate(arguments)


def test_misspelt_argument_gets_a_hint() -> None:
    with pytest.raises(InvalidArguments, match="Did you mean 'copies'"):
        send_briefing.validate({"to": "ada", "body": "hi", "copie": 2})


@tool(effect="read", risk="low", name="post", timeout_s=2.5)
def book(
    parcel: Parcel,
    day: date,
    json: Annotated[list[str], Field(max_length=2, description="Remarks.")],
    context: ToolContext[Deps],
    key: IdempotencyKey,
) -> dict[str, Any]:
    """Book a parcel."""
    where = threading.current_thread() is threading.main_thread()
    return {
        "tenant": context.deps.tenant,
        "key": key,
        "day": day,
        "kg": parcel.weight_kg,
        "main": where,
        "n": json,
    }


def test_context_and_key_stay_out_of_the_schema() -> None:
    assert list(book.parameters["properties"]) == ["parcel", "day", "json"]
    assert book.parameters["properties"]["json"]["description"] == "Remarks."
    with pytest.raises(InvalidArguments, match="no argument 'key'"):
        book.validate({"parcel": {"weight_kg": 1}, "day": "2026-01-31", "json": [], "key": "mine"})


async def test_call_converts_arguments_injects_and_runs_a_sync_body_in_a_thread() -> None:
    arguments = book.validate({"parcel": {"weight_kg": 1}, "day": "2026-01-31", "json": ["a"]})
    assert arguments == {"parcel": {"weight_kg": 1.0, "label": "plain"}, "day": "2026-01-31", "json": ["a"]}

    result = await book.execute(arguments, CONTEXT)

    assert result == {
        "tenant": "acme",
        "key": "key-1",
        "day": "2026-01-31",
        "kg": 1.0,
        "main": False,
        "n": ["a"],
    }


def test_validated_arguments_validate_again_to_themselves() -> None:
    arguments = book.validate({"parcel": {"weight_kg": 1}, "day": "2026-01-31", "json": []})
    assert book.validate(arguments) == arguments


async def test_probe_gets_the_arguments_and_answers_in_json() -> None:
    async def sent(to: str, day: date) -> date | None:
        return day if to == "ada" else None

    @tool(effect="checkable", probe=sent)
    async def send(to: str, day: date) -> str:
        """Send."""
        return to

    assert send.probe is not None
    assert await send.probe(to="ada", day="2026-01-31") == "2026-01-31"
    assert await send.probe(to="bob", day="2026-01-31") is None


def nothing_said(x: int) -> int:
    return x


def no_type(x: int) -> int:
    """Double."""
    return x * 2


del no_type.__annotations__["x"]


def splat(*values: int) -> int:
    """Add."""
    return sum(values)


def fine(x: int) -> int:
    """Double."""
    return x * 2


def opaque(x: threading.Lock) -> int:
    """Hold."""
    return 1


@pytest.mark.parametrize(
    ("function", "declared", "problem"),
    [
        (nothing_said, {}, "no docstring"),
        (no_type, {}, "'x' has no annotation"),
        (splat, {}, r"\*values"),
        (opaque, {}, "no JSON Schema"),
        (fine, {"effect": "checkable"}, "probe="),
        (fine, {"effect": "read", "probe": fine}, "probe="),
        (fine, {"effect": "idempotent"}, "IdempotencyKey"),
        (fine, {"effect": "sometimes"}, "effect is one of"),
        (fine, {"timeout_s": 0}, "timeout_s"),
        (fine, {"name": "no spaces"}, "1 to 64"),
    ],
)
def test_declaration_that_does_not_hold_is_refused_at_once(
    function: Any, declared: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidTool, match=problem):
        tool(**declared)(function)


def test_plain_functions_become_tools_of_the_careful_kind() -> None:
    made = as_tools([send_briefing, fine])
    assert [(item.name, item.effect, item.risk) for item in made] == [
        ("send_briefing", "unsafe", "high"),
        ("fine", "unsafe", "high"),
    ]
    with pytest.raises(InvalidTool, match="two tools"):
        as_tools([fine, fine])
    with pytest.raises(InvalidTool, match="neither"):
        as_tools(["fine"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def test_true_is_not_taken_for_a_number_that_is_listed() -> None:
    @tool(effect="read", risk="low")
    def pick(unit: Literal[1, 2]) -> int:
        """Pick a unit."""
        return unit

    assert pick.validate({"unit": 1}) == {"unit": 1}
    with pytest.raises(InvalidArguments, match="'unit'.*True"):
        pick.validate({"unit": True})
