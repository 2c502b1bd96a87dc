"""From Python values to JSON types."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_jsonable_python


def to_json_value(value: Any) -> JsonValue:
    """`value` as JSON types: what a tool returned, ready for a journal and a model.

    Models, dataclasses, dates, sets and the like take pydantic's JSON form, bytes become base64, NaN and
    infinity become None. It never raises, as the effect has already happened when it is called: what has
    no JSON form (an object of a foreign class, a structure that holds itself) becomes its `str`.
    """
    try:
        plain: JsonValue = to_jsonable_python(value, fallback=str, bytes_mode="base64", inf_nan_mode="null")
    except (ValueError, RecursionError):
        return str(value)
    return _finite(plain)


def as_text(value: JsonValue) -> str:
    """The value as a model reads it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _finite(value: JsonValue) -> JsonValue:
    # inf_nan_mode acts on the JSON text only; the Python form keeps the floats
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_finite(item) for item in value]
        case dict():
            return {str(key): _finite(item) for key, item in value.items()}
        case _:
            return value
