"""Measuring: data sets read from JSON lines, metrics with stated formulas, and intervals beside every figure.

`collections` and `retrieval` measure an index; they are modules of their own, as they load `knowledge`.
"""

from .grounding import auroc, measure_grounding, read_claims
from .intervals import Interval, mean_interval, wilson_interval
from .ranking import ndcg, recall, reciprocal_rank
from .rows import read_rows

__all__ = [
    "Interval",
    "auroc",
    "mean_interval",
    "measure_grounding",
    "ndcg",
    "read_claims",
    "read_rows",
    "recall",
    "reciprocal_rank",
    "wilson_interval",
]
