"""Ids that sort by time, and digests of exactly what will happen."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from . import tape

IdSource = Callable[[str], str]
"""Makes an id from a prefix; a replay hands in its own."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """A short id such as `run-06d4k1m9x2a7bq`: 45 bits of milliseconds, then 40 random bits.

    Ids of one prefix sort by creation time (to the millisecond) and contain no ambiguous letters. A replay gives
    those of its recording.
    """
    return tape.same_id(prefix, _made_id) if tape.tape_in_use() else _made_id(prefix)


def _made_id(prefix: str) -> str:
    number = (time.time_ns() // 1_000_000 << 40) | int.from_bytes(os.urandom(5))
    pairs = "".join([_PAIRS[number >> shift & 1023] for shift in range(75, -1, -10)])
    return f"{prefix}-{_ALPHABET[number >> 80 & 31]}{pairs}"


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: The value holds NaN or infinity.
        TypeError: The value is not made of JSON types.
    """
    return _canonical(value)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
