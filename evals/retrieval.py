"""Judged retrieval: the documents wanted for each query, and what rankings are worth against them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from .intervals import Interval, mean_interval
from .ranking import ndcg, recall, reciprocal_rank
from .rows import read_rows

K = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one ranking: a value for each query, in the order of the judged queries."""

    values: Mapping[str, list[float]]
    """`ndcg@10`, `recall@10` and `mrr`."""

    @property
    def intervals(self) -> dict[str, Interval]:
        """The mean of each figure with its 95 % interval."""
        return {name: mean_interval(values) for name, values in self.values.items()}

    def minus(self, other: Measured) -> dict[str, Interval]:
        """The mean of the paired differences to another ranking of the same queries."""
        pairs = {name: zip(values, other.values[name], strict=True) for name, values in self.values.items()}
        return {name: mean_interval([mine - theirs for mine, theirs in pair]) for name, pair in pairs.items()}


def relevant_documents(qrels: Path) -> dict[str, frozenset[str]]:
    """The relevant documents of each query that has any: those with a grade above 0, or without a grade.

    Raises:
        InvalidInput: The file cannot be read, or lacks a field.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for row in read_rows(qrels, ("query_id", "doc_id")):
        if row.get("grade", 1) > 0:
            found[str(row["query_id"])].add(str(row["doc_id"]))
    return {query: frozenset(documents) for query, documents in found.items()}


def measured(ranked: Mapping[str, Sequence[str]], relevant: Mapping[str, Set[str]]) -> Measured:
    """Measure ranked documents; each relevant document gains 1, whatever its grade.

    Grades are not used as gains because scales differ: in Cranfield 1 is the best grade, in TREC the highest is.

    Args:
        ranked: For each query, document ids without repeats, best first. A query that is missing found nothing.
        relevant: For each query, the documents wanted.
    """
    values: dict[str, list[float]] = {f"ndcg@{K}": [], f"recall@{K}": [], "mrr": []}
    for query, wanted in relevant.items():
        found = ranked.get(query, ())
        values[f"ndcg@{K}"].append(ndcg(found, dict.fromkeys(wanted, 1.0), K))
        values[f"recall@{K}"].append(recall(found, wanted, K))
        values["mrr"].append(reciprocal_rank(found, wanted))
    return Measured(values)
