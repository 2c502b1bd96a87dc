"""Ingestion and search measured: CPU beside the embedder, memory, kills, time of a query, 8 bits; beside plain Chroma.

    python -m benchmarks.ingestion [--only kills|speed|queries|precision]... [--kills 200] [--seed N]
        [--passages 10000] [--embedder minilm|hash] [--queries 100000] [--data FOLDER]

Passed: after each kill the index is as before or as it was to be, and the next ingestion ends as one that nobody
killed, with nothing lost, nothing twice, and at most one batch of texts embedded again; beside the embedder (MiniLM)
an ingestion costs under 25 % of the CPU; memory after the last quarter of it is at most 1.25 times that after the
first; and the median query costs under 50 ms of CPU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from collegium.knowledge import default_embedder

from .corpus import write_corpus
from .kills import kills
from .precision import effects
from .queries import QUERIES, searched, searched_by_chroma
from .speed import Cost, measured

PARTS = ("kills", "speed", "queries", "precision")


def main() -> int:
    """Run as asked; the exit status says whether it passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be given again")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--embedder", choices=("minilm", "hash"), default="minilm")
    parser.add_argument("--queries", type=int, default=100_000, help="passages that are searched")
    parser.add_argument("--data", type=Path, help="a collection: corpus.jsonl, queries.jsonl, qrels.jsonl")
    given = parser.parse_args()
    passed = True
    with tempfile.TemporaryDirectory(prefix="collegium-ingestion-") as name:
        folder = Path(name)
        for part in given.only or PARTS:
            if part == "kills":
                passed &= _killed(folder / "kills", given.kills, given.seed)
            elif part == "speed":
                passed &= _fast(folder, given.passages, given.embedder)
            elif part == "queries":
                passed &= _queried(folder / "queries", given.queries)
            elif given.data:
                _precise(given.data)
    return 0 if passed else 1


def _killed(folder: Path, count: int, seed: int) -> bool:
    folder.mkdir()
    done = failed = missed = twice = 0
    for kill in kills(folder, count, seed):
        done += 1
        failed += bool(kill.failures)
        missed += not kill.died
        twice = max(twice, kill.embedded_twice)
        for failure in kill.failures:
            print(f"step {kill.at}, {' '.join(kill.step)}: {failure}", flush=True)
    print(f"{done} kills, {failed} with a failure, {missed} too late; at most {twice} texts embedded twice")
    return not failed and not missed


def _fast(folder: Path, passages: int, embedder: str) -> bool:
    write_corpus(folder / "docs", passages)
    print(f"\n{passages} passages, embedder {embedder}: CPU, of it not the embedder's; memory")
    passed = True
    for way in ("collegium", "chroma"):
        cost = measured(way, folder / "docs", folder / way, embedder)
        print(f"{way:<10} {_told(cost)}", flush=True)
        if way == "collegium":
            passed = cost.quarters_mb[3] <= 1.25 * cost.quarters_mb[0]
            passed &= embedder == "hash" or cost.rest_share < 0.25
    return passed


def _told(cost: Cost) -> str:
    quarters = " / ".join(f"{size:.0f}" for size in cost.quarters_mb)
    return (
        f"{cost.passages} passages, {cost.cpu_s:.1f} s, {100 * cost.rest_share:.1f} % "
        f"({cost.rest_ms:.2f} ms a passage); {cost.start_mb:.0f} MB before, "
        f"{quarters} MB after each quarter, peak {cost.peak_mb:.0f} MB"
    )


def _queried(folder: Path, count: int) -> bool:
    print(f"\n{QUERIES} queries over {count} passages with given vectors of 384 values")
    found = searched(count)
    for times in [*found, searched_by_chroma(count, folder)]:
        print(
            f"{times.way:<28} median {times.median_ms:.1f} ms, p95 {times.p95_ms:.1f} ms, CPU {times.cpu_ms:.1f} ms; "
            f"vectors {times.memory_mb:.0f} MB, recall@10 {times.recall:.3f}",
            flush=True,
        )
    return all(times.cpu_ms < 50 for times in found)


def _precise(data: Path) -> None:
    embedder = default_embedder()
    if embedder is None:
        print("pull MiniLM's weights for this part: collegium models pull minilm")
        return
    print(f"\n{data.name}, vectors alone ({embedder.name})")
    for effect in effects(data, embedder):
        print(
            f"{effect.way:<16} {effect.kilobytes:.0f} kB, recall@10 {effect.recall:.3f}, "
            f"nDCG@10 {effect.ndcg:.4f}, difference {effect.difference}",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
