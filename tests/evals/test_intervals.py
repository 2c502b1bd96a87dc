"""Intervals agree with published values, repeat exactly, and hold what they promise."""

import random

import pytest

from collegium.evals import mean_interval, wilson_interval


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for hits, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (1, 29, 0.0061, 0.1718)):
        found = wilson_interval(hits, total)
        assert found.low == pytest.approx(low, abs=1e-4)
        assert found.high == pytest.approx(high, abs=1e-4)
    assert wilson_interval(0, 20).high == pytest.approx(0.1611, abs=1e-4)


def test_wilson_ends_at_the_ends() -> None:
    assert wilson_interval(0, 20).low == 0.0
    assert wilson_interval(20, 20).high == 1.0


def test_a_rate_of_nothing_is_unknown() -> None:
    found = wilson_interval(0, 0)

    assert (found.low, found.high) == (0.0, 1.0)


def test_the_same_values_give_the_same_interval() -> None:
    values = [0.1, 0.9, 0.4, 0.4, 0.7]

    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values) != mean_interval(values, seed=8)


def test_the_bootstrap_is_about_as_wide_as_the_normal_interval() -> None:
    draw = random.Random(1)
    values = [draw.gauss(0.5, 0.2) for _ in range(200)]

    found = mean_interval(values)

    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.2 / 200**0.5, rel=0.15)


def test_no_values_give_zeros() -> None:
    assert mean_interval([]).high == 0.0
