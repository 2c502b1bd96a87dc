"""The weights of the grounding check, fitted on claims that people labelled.

    python -m benchmarks.grounding --data FILE

FILE holds JSON lines with `claim`, `evidence` and `grounded`. What is printed is `WEIGHTS` in `knowledge/grounding.py`
and the figures that its docstring and `docs/knowledge.md` give: the area under the ROC curve in ten folds, with each
signal left out in turn. The data are not shipped, as their licence forbids it; the five numbers are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from collegium.evals.grounding import auroc, cross_validated, measure_grounding, read_claims
from collegium.knowledge.grounding import WEIGHTS, Signals, signals

SHUFFLES = range(7, 12)


def ten_folds(rows: list[Signals], labels: list[bool]) -> str:
    found = [auroc(cross_validated(rows, labels, seed=seed), labels) for seed in SHUFFLES]
    return f"{sum(found) / len(found):.3f} ({min(found):.3f} to {max(found):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of the grounding check.")
    parser.add_argument("--data", type=Path, required=True, help="JSON lines: claim, evidence, grounded")
    claims = read_claims(parser.parse_args().data)
    figures = measure_grounding(claims)
    rows = [signals(one.claim, [one.evidence]) for one in claims]
    labels = [one.grounded for one in claims]
    print(f"{figures.claims} claims, {figures.grounded} grounded")
    print(f"shipped   {WEIGHTS}")
    print(f"fitted    {figures.fitted}")
    print(f"AUROC     shipped {figures.shipped}, ten folds {figures.folds}, word overlap {figures.overlap}")
    print(f"ten folds, five shuffles: {ten_folds(rows, labels)}")
    for name in Signals._fields:
        print(f"  without {name:16} {ten_folds([row._replace(**{name: 0.0}) for row in rows], labels)}")


if __name__ == "__main__":
    main()
