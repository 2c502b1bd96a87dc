"""What a tool returns becomes JSON types, whatever it is."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collegium.tools import to_json_value


@dataclass
class Receipt:
    at: datetime
    total: float


def test_dataclasses_dates_sets_and_bytes_take_a_json_form() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    assert to_json_value(Receipt(at, 1.5)) == {"at": "2026-01-31T00:00:00Z", "total": 1.5}
    assert to_json_value({1: {"a"}, "b": b"\xff"}) == {"1": ["a"], "b": "_w=="}


def test_what_has_no_json_form_becomes_text() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert to_json_value(ring) == "[[...]]"
    assert isinstance(to_json_value(object()), str)
    assert to_json_value([float("nan"), float("inf"), 1.0]) == [None, None, 1.0]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.binary() | st.dates(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
def test_every_value_can_be_written_as_strict_json(value: object) -> None:
    json.dumps(to_json_value(value), allow_nan=False)
