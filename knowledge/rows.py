"""The vectors of a snapshot, one a row: 32-bit floats, or 8-bit integers by linear quantisation.

A value x is kept as an integer q with x = scale * (q - zero), one scale and zero point a row. Symmetric
quantisation has zero = 0 and scale = max|x| / 127; asymmetric quantisation spreads [min, max] over all 256
integers, which is finer where the values of a row lie to one side. Source: Jacob et al. 2018, equations 1 to 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Literal

Precision = Literal["float32", "int8", "int8-asymmetric"]

BLOCK = 512
"""Rows that are multiplied at once: as floats they fit the processor's cache, so that reading the integers, a
quarter of the floats, is what a search waits for. 512 was best of 64 to 4096 at 384 values a row."""


class QuantisedRows:
    """Rows of 8-bit integers that multiply with a vector as the floats would, within half a step a value.

    Args:
        codes: int8, one row a passage.
        scale: float32, one a row.
        zero: float32, one a row; None where it is 0 for all.
    """

    def __init__(self, codes: Any, scale: Any, zero: Any = None) -> None:
        self.codes, self.scale, self.zero = codes, scale, zero

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and values a row."""
        rows, values = self.codes.shape
        return rows, values

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.codes.nbytes + self.scale.nbytes + (0 if self.zero is None else self.zero.nbytes))

    def __matmul__(self, vector: Any) -> Any:
        """The dot product of each row with a vector: float32, one a row."""
        numpy: Any = import_module("numpy")
        vector = numpy.asarray(vector, dtype="float32")
        rows, values = self.codes.shape
        block = numpy.empty((min(BLOCK, rows), values), dtype="float32")
        products = numpy.empty(rows, dtype="float32")
        for at in range(0, rows, BLOCK):
            count = min(BLOCK, rows - at)
            block[:count] = self.codes[at : at + count]
            numpy.dot(block[:count], vector, out=products[at : at + count])
        if self.zero is not None:
            products -= self.zero * vector.sum()
        products *= self.scale
        return products

    def __getitem__(self, rows: Any) -> Any:
        """These rows as floats."""
        numpy: Any = import_module("numpy")
        found = self.codes[rows].astype("float32")
        if self.zero is not None:
            found -= numpy.asarray(self.zero[rows])[..., None]
        return found * numpy.asarray(self.scale[rows])[..., None]


def quantised(rows: Any, *, asymmetric: bool = False) -> QuantisedRows:
    """Rows of floats as 8-bit integers; a row of zeros stays one."""
    numpy: Any = import_module("numpy")
    rows = numpy.asarray(rows, dtype="float32")
    if asymmetric:
        low = numpy.minimum(rows.min(axis=1), 0)
        scale = (numpy.maximum(rows.max(axis=1), 0) - low) / 255
        scale[scale == 0] = 1
        zero = numpy.rint(-low / scale) - 128
        codes = numpy.clip(numpy.rint(rows / scale[:, None]) + zero[:, None], -128, 127)
        return QuantisedRows(codes.astype("int8"), scale.astype("float32"), zero.astype("float32"))
    scale = abs(rows).max(axis=1) / 127
    scale[scale == 0] = 1
    return QuantisedRows(numpy.rint(rows / scale[:, None]).astype("int8"), scale.astype("float32"))


def write_rows(place: Path, blocks: Iterable[Sequence[Any]], count: int, precision: Precision) -> None:
    """Write vectors block by block, so that memory does not grow with their number."""
    numpy: Any = import_module("numpy")
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for block in blocks:
            for name, part in _parts(numpy.asarray(block, dtype="float32"), precision):
                if name not in files:
                    files[name] = stack.enter_context((place / f"{name}.npy").open("wb"))
                    _write_header(files[name], part, count)
                files[name].write(part.tobytes())


def read_rows(place: Path) -> Any:
    """What `write_rows` wrote: an array of floats, or `QuantisedRows`; None where there are no vectors."""
    numpy: Any = import_module("numpy")
    with suppress(FileNotFoundError):
        return numpy.load(place / "vectors.npy")
    with suppress(FileNotFoundError):
        codes, scale = numpy.load(place / "codes.npy"), numpy.load(place / "scale.npy")
        zero = numpy.load(place / "zero.npy") if (place / "zero.npy").is_file() else None
        return QuantisedRows(codes, scale, zero)
    return None


def _parts(block: Any, precision: Precision) -> list[tuple[str, Any]]:
    if precision == "float32":
        return [("vectors", block)]
    rows = quantised(block, asymmetric=precision == "int8-asymmetric")
    zero = [] if rows.zero is None else [("zero", rows.zero)]
    return [("codes", rows.codes), ("scale", rows.scale), *zero]


def _write_header(file: IO[bytes], like: Any, count: int) -> None:
    form: Any = import_module("numpy.lib.format")
    shape = (count, *like.shape[1:])
    form.write_array_header_1_0(file, {"descr": like.dtype.str, "fortran_order": False, "shape": shape})
