"""The ranking figures agree with values worked out by hand, and never leave 0..1."""

from math import log2

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collegium.evals import ndcg, recall, reciprocal_rank

IDS = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True)


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    found = ndcg(["x", "a", "y", "b"], {"a": 1.0, "b": 1.0, "c": 1.0})

    assert found == pytest.approx((1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / log2(4)))


def test_ndcg_takes_graded_gains_as_they_are() -> None:
    assert ndcg(["a", "b"], {"a": 1.0, "b": 3.0}) == pytest.approx((1 + 3 / log2(3)) / (3 + 1 / log2(3)))


def test_what_stands_below_k_counts_for_nothing() -> None:
    assert ndcg(["x", "a"], {"a": 1.0}, k=1) == 0.0
    assert recall(["x", "a"], {"a"}, k=1) == 0.0


def test_recall_is_the_share_of_the_relevant_ones() -> None:
    assert recall(["a", "x", "b"], {"a", "b", "c", "d"}) == 0.5


def test_reciprocal_rank_looks_at_the_first_hit_only() -> None:
    assert reciprocal_rank(["x", "y", "a", "b"], {"a", "b"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x"], {"a"}) == 0.0


def test_nothing_relevant_is_worth_nothing() -> None:
    assert (ndcg(["a"], {}), recall(["a"], ()), reciprocal_rank(["a"], ())) == (0.0, 0.0, 0.0)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(IDS, IDS)
def test_the_best_order_is_worth_one_and_none_more(ranked: list[str], relevant: list[str]) -> None:
    gains = dict.fromkeys(relevant, 1.0)

    assert 0.0 <= ndcg(ranked, gains) <= 1.0
    assert ndcg(relevant, gains) == pytest.approx(1.0 if relevant else 0.0)
