"""Passages that say the same: found by MinHash, so that a search does not hand on one text several times.

Two passages repeat each other when at least `LIKE` of their word triples are shared (Jaccard, estimated from a
sketch of 64 values) and when their numbers and their negations are the same: a price list differs from another in
nothing else. Source: Broder 1997; banding as in Leskovec, Rajaraman and Ullman 2014, section 3.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from random import Random
from typing import Any
from zlib import crc32

LIKE = 0.85
VALUES = 64
BANDS = 16
"""Of four values each: passages that share 0.85 meet in one of them in 9,999 of 10,000 cases."""
_EXACT = 8
"""Bytes of the digests of what must be equal, before the values."""
_WORD = re.compile(r"\w+")
_TELLING = re.compile(r"\d|^(?:no|not|never|none|without|cannot|nicht|kein\w*|nie|pas|jamais|sin|non|t)$")
"""Words that change what a passage says; `t` is that of `isn't`."""


def sketch(text: str) -> bytes:
    """What tells how alike two passages are: 264 bytes."""
    numpy: Any = import_module("numpy")
    words = _WORD.findall(text.casefold())
    telling = crc32(" ".join(word for word in words if _TELLING.search(word)).encode("utf-8", "surrogatepass"))
    short = crc32(" ".join(words).encode("utf-8", "surrogatepass")) if len(words) < VALUES // 4 else 0
    shingles = {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
    hashes = numpy.array([crc32(one.encode("utf-8", "surrogatepass")) for one in shingles], dtype="uint64")
    factors, offsets = _functions()
    values = ((hashes[:, None] * factors + offsets) >> numpy.uint64(32)).min(axis=0)
    exact = numpy.array([telling, short], dtype="uint32")
    return bytes(exact.tobytes() + values.astype("uint32").tobytes())


def firsts(sketches: Iterable[bytes]) -> Any:
    """For each passage the row of the first one that it repeats; its own, where it repeats none. int32."""
    numpy: Any = import_module("numpy")
    table = numpy.frombuffer(b"".join(sketches), dtype="uint32").reshape(-1, VALUES + _EXACT // 4)
    exact, values = table[:, :2], table[:, 2:]
    first = numpy.arange(len(table), dtype="int32")
    width = VALUES // BANDS
    for band in range(BANDS):
        part = numpy.ascontiguousarray(numpy.hstack([exact, values[:, band * width : (band + 1) * width]]))
        keys = part.view(f"V{part.shape[1] * 4}").ravel()
        _, earliest, group = numpy.unique(keys, return_index=True, return_inverse=True)
        met = earliest[group.ravel()]
        rows = numpy.flatnonzero(met < first)
        like = (values[rows] == values[met[rows]]).mean(axis=1) >= LIKE
        first[rows[like]] = met[rows[like]]
    return first[first]


def best_of_each(first: Any, scores: Any) -> Any:
    """A mask of the rows that are the best of those which repeat each other; of equal ones, the first row.

    Args:
        first: As `firsts` gave it.
        scores: One a row.
    """
    numpy: Any = import_module("numpy")
    kept = numpy.ones(len(first), dtype=bool)
    rows = numpy.flatnonzero(numpy.bincount(first, minlength=len(first))[first] > 1)
    if len(rows):
        order = rows[numpy.lexsort((rows, -scores[rows], first[rows]))]
        kept[order[1:]] = first[order[1:]] != first[order[:-1]]
    return kept


@cache
def _functions() -> tuple[Any, Any]:
    """Multiply-shift hash functions (Dietzfelbinger et al. 1997), the same ones for ever: sketches are stored."""
    numpy: Any = import_module("numpy")
    draw = Random(20261129)
    factors = numpy.array([draw.getrandbits(64) | 1 for _ in range(VALUES)], dtype="uint64")
    return factors, numpy.array([draw.getrandbits(64) for _ in range(VALUES)], dtype="uint64")
