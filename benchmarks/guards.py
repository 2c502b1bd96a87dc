"""What each guard costs: CPU for 1,000 characters of plain text, and of text full of what it looks for.

    python -m benchmarks.guards --data FOLDER [--json FILE]

`--data` holds `gsm8k/problems.jsonl`, `xquad-en/corpus.jsonl` and `pii-presidio/texts.jsonl`. Tables that are read
once (numbering plans, formats of keys) are read before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from time import process_time
from typing import Any

from collegium.evals import read_rows
from collegium.guardrails import (
    Guard,
    Guards,
    Injection,
    Jailbreak,
    Memory,
    NotJson,
    PersonalData,
    Redactor,
    Repeated,
    Secrets,
    TooLong,
    Ungrounded,
)
from collegium.guardrails.marking import enclosed, new_mark

ROUNDS = 3


def finders() -> dict[str, Callable[[str], Any]]:
    """Name to what one text is given to."""
    redactor, together = (
        Redactor(),
        Guards(Guard(PersonalData(), "redact"), Guard(Secrets(), "redact"), Guard(Injection(), "flag")),
    )
    memory = Memory(brought=["The council opened the bridge over the river in 1932, after eight years of work."] * 5)

    def drained(check: Callable[[str], Iterable[Any]]) -> Callable[[str], Any]:
        return lambda text: list(check(text))

    return {
        "Injection": drained(Injection()),
        "Jailbreak": drained(Jailbreak()),
        "PersonalData": drained(PersonalData()),
        "Secrets": drained(Secrets()),
        "Redactor (both)": redactor.redact,
        "TooLong": drained(TooLong(10_000)),
        "NotJson": drained(NotJson({"type": "object"})),
        "Repeated": lambda text: asyncio.run(Guards(Guard(Repeated(), "block")).passed("tool_call", text)),
        "Ungrounded": lambda text: asyncio.run(
            Guards(Guard(Ungrounded(), "flag")).passed("output", text, memory=memory)
        ),
        "marking": lambda text: enclosed(text, new_mark()),
        "redact both, flag injections": lambda text: asyncio.run(together.passed("tool_result", text)),
    }


def cost_ms(work: Callable[[str], Any], texts: list[str]) -> float:
    """Least CPU of the rounds, in milliseconds for 1,000 characters."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = process_time()
        for text in texts:
            work(text)
        best = min(best, process_time() - begun)
    return best * 1e6 / sum(map(len, texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    plain = [row["text"] for row in read_rows(given.data / "xquad-en" / "corpus.jsonl")]
    short = [row["question"] for row in read_rows(given.data / "gsm8k" / "problems.jsonl")[:300]]
    full = [row["text"] for row in read_rows(given.data / "pii-presidio" / "texts.jsonl")]
    figures: dict[str, list[float]] = {}
    print(f"{'ms CPU for 1,000 characters':<30} {'paragraphs':>10} {'questions':>10} {'PII':>10}")
    for name, work in finders().items():
        work("call 020 7946 0958, the password is Tr0ub4dor-4")
        figures[name] = [round(cost_ms(work, texts), 3) for texts in (plain, short, full)]
        print(f"{name:<30} " + " ".join(f"{value:>10.3f}" for value in figures[name]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
