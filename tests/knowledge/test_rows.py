"""Vectors of 8 bits multiply as the floats do, within half a step a value, and take a quarter of the memory."""

from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.core.errors import EmbedderMismatch
from collegium.knowledge import HashEmbedder, Index
from collegium.knowledge.rows import BLOCK, Precision, QuantisedRows, quantised, read_rows, write_rows

ROWS = st.lists(st.lists(st.floats(-4, 4, width=32), min_size=5, max_size=5), min_size=1, max_size=9)


@settings(deadline=None)
@given(ROWS, st.booleans())
def test_a_value_comes_back_within_half_a_step(rows: list[list[float]], asymmetric: bool) -> None:
    made = quantised(rows, asymmetric=asymmetric)
    given_rows = numpy.array(rows, dtype="float32")
    # a whole step: rounding the zero point moves all values of a row by up to half of one
    step = made.scale[:, None] * (1.0 if asymmetric else 0.5)
    assert (abs(made[list(range(len(rows)))] - given_rows) <= step * 1.001 + 1e-6).all()
    assert made.codes.dtype == numpy.int8


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, 3 * BLOCK + 7])
def test_products_are_those_of_the_floats_that_the_integers_stand_for(count: int, asymmetric: bool) -> None:
    random = numpy.random.default_rng(3)
    rows = random.normal(0.1, 1, (count, 384)).astype("float32")
    vector = random.normal(0, 1, 384).astype("float32")
    made = quantised(rows, asymmetric=asymmetric)
    assert numpy.allclose(made @ vector, made[numpy.arange(count)] @ vector, atol=1e-2)
    assert made.nbytes <= count * (384 + 8)


def test_where_all_values_lie_to_one_side_asymmetric_codes_are_finer() -> None:
    rows = numpy.random.default_rng(1).uniform(0, 1, (50, 64)).astype("float32")
    errors = [abs(quantised(rows, asymmetric=a)[numpy.arange(50)] - rows).mean() for a in (False, True)]
    assert errors[1] < 0.6 * errors[0]


def test_a_row_of_zeros_stays_one() -> None:
    for asymmetric in (False, True):
        assert (quantised([[0.0, 0.0]], asymmetric=asymmetric) @ numpy.ones(2, dtype="float32")).tolist() == [0.0]


@pytest.mark.parametrize("precision", ["float32", "int8", "int8-asymmetric"])
def test_rows_are_written_in_blocks_and_read_as_one(tmp_path: Path, precision: Precision) -> None:
    rows = numpy.random.default_rng(2).normal(0, 1, (7, 16)).astype("float32")
    write_rows(tmp_path, [list(rows[:4]), list(rows[4:])], 7, precision)
    back = read_rows(tmp_path)
    assert back.shape == (7, 16)
    assert isinstance(back, QuantisedRows) is (precision != "float32")
    assert numpy.allclose(back @ rows[0], rows @ rows[0], atol=0.2)


async def test_an_index_of_8_bits_finds_the_same_and_can_be_changed_back(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("".join(f"# Lamp {n}\n\n{'Light ' * 50} number {n}.\n\n" for n in range(20)))
    found: list[list[str]] = []
    precisions: list[Precision] = ["float32", "int8", "int8-asymmetric", "float32"]
    for precision in precisions:
        index = Index("i", folder=tmp_path / "i", embedder=HashEmbedder(64), precision=precision)
        await index.ingest(tmp_path / "a.md")
        found.append([passage.text for passage in await index.search("lamp number 7", k=1)])
    assert found[0] == found[1] == found[2] == found[3]
    (snapshot,) = (tmp_path / "i").glob("snapshot-*")
    assert (snapshot / "vectors.npy").is_file() and not (snapshot / "codes.npy").is_file()


class Longer(HashEmbedder):
    """Another model of the same name."""

    def __init__(self) -> None:
        super().__init__(64)
        self.dimension = 32


async def test_vectors_of_another_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A lamp.")
    await Index("i", folder=tmp_path / "i", embedder=HashEmbedder(64)).ingest(tmp_path / "a.md")
    with pytest.raises(EmbedderMismatch, match="64 values a vector', not '32 values'"):
        await Index("i", folder=tmp_path / "i", embedder=Longer()).search("lamp")
    (tmp_path / "b.md").write_text("A buoy.")
    odd = HashEmbedder(64)
    odd.dimension = 48
    odd.name = "hash-64"
    with pytest.raises(EmbedderMismatch):
        await Index("i", folder=tmp_path / "i", embedder=odd).ingest(tmp_path)
