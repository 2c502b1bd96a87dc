import os
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt, Send
from pydantic import BaseModel, Field

from collegium.core.errors import CorruptState, InvalidInput
from collegium.runs.store.serde import StrictSerializer


class Step(BaseModel):
    goal: str
    after: list[str] = []


class Renamed(BaseModel):
    goal: str = Field(alias="the goal")


class Size(BaseModel):
    depth: int


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    y: int


class Pair(NamedTuple):
    left: int
    right: int


ALLOWED = [Step, Size, Renamed, Colour, Point, Pair]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"raw",
        bytearray(b"raw"),
        {"a": [1, 2.5, "text", None, True], 3: "number keys"},
        [2**64, -(2**63) - 1, Point(10**5000, -(10**20)), Size(depth=2**70)],
        {1, 2},
        deque([1, 2]),
        datetime(2026, 11, 22, 12, tzinfo=UTC),
        timedelta(days=1, seconds=2),
        Decimal("1.10"),
        UUID(int=5),
        Path("/a/b"),
        HumanMessage("hello", id="1"),
        AIMessage("hi", id="2"),
        Send("node", {"x": 1}),
        Interrupt(value={"q": 1}, id="i"),
        [Step(goal="a", after=["b"])],
        Renamed.model_validate({"the goal": "a"}),
        Colour.RED,
        Point(1, 2),
        Pair(1, 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    serde = StrictSerializer(ALLOWED)

    assert serde.loads_typed(serde.dumps_typed(value)) == value


@pytest.mark.parametrize("value", [Step(goal="a"), [Colour.RED], {"p": Point(1, 2)}, (Pair(1, 2),)], ids=str)
def test_a_type_that_is_not_listed_is_refused_when_it_is_stored(value: Any) -> None:
    with pytest.raises(InvalidInput, match="test_store_serde"):
        StrictSerializer().dumps_typed(value)


@pytest.mark.parametrize("value", [Step(goal="a"), [Colour.RED], {"p": Point(1, 2)}, (Pair(1, 2),)], ids=str)
def test_a_type_that_is_not_listed_is_refused_when_it_is_read_and_never_given_raw(value: Any) -> None:
    stored = StrictSerializer(ALLOWED).dumps_typed(value)

    with pytest.raises(CorruptState, match="test_store_serde"):
        StrictSerializer().loads_typed(stored)


@pytest.mark.parametrize("code", range(7))
def test_bytes_that_name_a_function_of_the_system_are_refused_and_nothing_runs(code: int, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    call = ("os", "system", f"touch {touched}", "__call__")
    stored = ormsgpack.packb([ormsgpack.Ext(code, ormsgpack.packb(call))])

    with pytest.raises((CorruptState, TypeError, ValueError)):
        StrictSerializer(ALLOWED).loads_typed(("msgpack", stored))

    assert not touched.exists()


def test_langgraphs_own_default_would_have_run_it(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    call = ("os", "system", f"touch {touched}")
    stored = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(call)))

    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(("msgpack", stored))

    assert touched.exists()
    assert os.path.getsize(touched) == 0


@pytest.mark.parametrize("kind", ["json", "pickle", "anything"])
def test_other_encodings_are_refused(kind: str) -> None:
    with pytest.raises(CorruptState, match=kind):
        StrictSerializer().loads_typed((kind, b"{}"))


def test_a_model_that_no_longer_takes_its_stored_fields_is_refused_not_half_built() -> None:
    stored = ("msgpack", ormsgpack.packb(ormsgpack.Ext(5, ormsgpack.packb((Step.__module__, "Step", {"aim": 1}, "")))))

    with pytest.raises(CorruptState, match="Step"):
        StrictSerializer(ALLOWED).loads_typed(stored)


def test_a_type_that_was_moved_away_is_refused() -> None:
    gone = (Step.__module__, "Gone")
    stored = ("msgpack", ormsgpack.packb(ormsgpack.Ext(5, ormsgpack.packb((*gone, {}, "")))))

    with pytest.raises(CorruptState, match="Gone"):
        StrictSerializer([gone]).loads_typed(stored)


def test_more_types_can_be_allowed_later_and_the_first_serialiser_stays_as_it_was() -> None:
    narrow = StrictSerializer()
    wide = narrow.with_msgpack_allowlist([(Step.__module__, "Step")])

    assert wide.loads_typed(wide.dumps_typed(Step(goal="a"))) == Step(goal="a")
    assert wide.with_msgpack_allowlist([Step]) is wide
    with pytest.raises(InvalidInput):
        narrow.dumps_typed(Step(goal="a"))


def test_a_value_that_nothing_can_store_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="lock"):
        StrictSerializer().dumps_typed({"lock": __import__("threading").Lock()})


def test_damaged_bytes_are_refused() -> None:
    with pytest.raises(CorruptState):
        StrictSerializer().loads_typed(("msgpack", b"\xc1"))
