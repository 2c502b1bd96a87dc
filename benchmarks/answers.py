"""How often an accepted answer stands in the answer of the `research` example, and whether its quotes hold.

    python benchmarks/answers.py
    python benchmarks/answers.py --docs FOLDER --questions FILE.jsonl --model llamacpp:NAME@URL

Each line of the questions file is `{"question": "…", "accepted": ["…", …]}`. An answer counts when one of the
accepted texts stands in it as whole words, whatever the case and the white space. A quote holds when it is found
word for word at its place in the source. The plan is approved and the report is not saved.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collegium.cli.targets import examples_home, load_target, parse_target
from collegium.runs import Approval, Approve, Decision, Reject

QUESTIONS = examples_home() / "research" / "questions.jsonl"


@dataclass(frozen=True)
class Outcome:
    question: str
    text: str
    right: bool
    quotes_hold: bool
    confidence: str
    model: str
    seconds: float


async def decide(approval: Approval) -> Decision:
    return Approve(by="benchmark") if approval.kind == "review" else Reject("measuring", by="benchmark")


def plain(text: str) -> str:
    return " ".join(text.lower().split())


def stands_in(accepted: str, answer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(plain(accepted))}(?!\w)", plain(answer)) is not None


async def holds(citation: Any, documents: list[str]) -> bool:
    from collegium.examples.research.graph import library

    index = library(documents)
    text: str = await asyncio.to_thread(index.source_text, citation.source)
    quote: str = citation.quote
    return text[citation.start : citation.end] == quote


async def ask(question: str, accepted: list[str], documents: list[str], model: str | None) -> Outcome:
    graph = load_target(parse_target("research"))
    begun = time.perf_counter()
    run = await graph.run({"question": question, "documents": documents}, model=model, approver=decide)
    seconds = time.perf_counter() - begun
    answer = run.state.answer
    quoted = [await holds(citation, documents) for citation in answer.citations]
    right = any(stands_in(one, answer.text) for one in accepted)
    return Outcome(question, answer.text, right, all(quoted), answer.confidence, run.model or answer.model, seconds)


async def measure(lines: list[dict[str, Any]], documents: list[str], model: str | None) -> list[Outcome]:
    return [await ask(line["question"], line["accepted"], documents, model) for line in lines]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the answers of the research example.")
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--docs", action="append", default=[], help="file or folder; default: package descriptions")
    parser.add_argument("--model", help="provider:model[@url]")
    parser.add_argument("--least", type=int, default=0, help="status 1 when fewer answers are right")
    given = parser.parse_args()
    asked: str = given.questions.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in asked.splitlines() if line.strip()]
    outcomes = asyncio.run(measure(lines, given.docs, given.model))
    for one in outcomes:
        mark = "right" if one.right else "WRONG"
        broken = "" if one.quotes_hold else "  A QUOTE DOES NOT HOLD"
        print(
            f"{mark}  {one.seconds:5.1f} s  {one.confidence:9}  {one.question}{broken}\n       {plain(one.text)[:300]}"
        )
    count, held = sum(one.right for one in outcomes), sum(one.quotes_hold for one in outcomes)
    models = ", ".join(sorted({one.model for one in outcomes}))
    print(f"{count} of {len(outcomes)} right, quotes hold in {held} of {len(outcomes)}, answered by {models}")
    return int(count < given.least or held < len(outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
