"""Compares the world, what was accepted, what the person said and the stored history; knows three outcomes.

An effect is done (in the world, and the history says so), not done (in neither), or was unknown and a person settled
it. Anything else is a fault. It uses nothing of Collegium, and also runs alone:

    python -m benchmarks.crash.checker FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from . import history, sink
from .history import Row

UNSAFE = ("pay", "notify")

ORDER = ["plan", "retrieve", "report", "store", "judge", "propose", "decide", "notify", "finish"]
"""The steps that sign the state, each once, in this order (`report` and `store` are the pair)."""

AT_REST = ("done", "failed", "cancelled", "waiting")


@dataclass(slots=True)
class Verdict:
    """What became of everything."""

    accepted: int = 0
    runs: int = 0
    effects: int = 0
    done: int = 0
    not_done: int = 0
    unknown: int = 0
    """Effects that were in doubt, and were put before the person."""
    retried: int = 0
    """Effects that the person chose to do again."""
    answers: int = 0
    asked_twice: int = 0
    """Questions that were decided more than once."""
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By kind: what went wrong, one line each."""


def as_json(verdict: Verdict) -> Row:
    """The verdict as JSON types."""
    return {**asdict(replace(verdict, faults={})), "faults": dict(verdict.faults)}


def lines_of(path: Path) -> list[Row]:
    """A file of JSON lines; a missing file is empty."""
    return [json.loads(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def check(folder: Path) -> Verdict:
    """The verdict on a trial that has ended."""
    return _Check(folder).verdict()


class _Check:
    def __init__(self, folder: Path) -> None:
        path = folder / "runs.db"
        self._folder, self._path = folder, path
        self._runs = {run["run_id"]: run for run in history.runs(path)}
        self._approvals = history.approvals(path)
        self._effects = history.effects(path)
        self._world: dict[str, list[sink.Entry]] = defaultdict(list)
        for entry in sink.entries(folder / "sink.jsonl"):
            self._world[entry["key"]].append(entry)
        self._said = lines_of(folder / "answers.jsonl")
        self._found = Verdict(runs=len(self._runs), effects=len(self._effects))

    def verdict(self) -> Verdict:
        self._every_run_ended()
        self._every_answer_stands()
        for effect in self._effects:
            self._effect(effect)
        known = {_key_outside(effect["key"]) for effect in self._effects}
        for key, entries in self._world.items():
            if key not in known:
                self._fault("not intended", f"{entries[0]['payload']} happened, and the journal has no intent")
        self._every_doubt_was_shown()
        self._nothing_is_left()
        return self._found

    def _fault(self, kind: str, text: str) -> None:
        self._found.faults[kind].append(text)

    def _every_run_ended(self) -> None:
        accepted = lines_of(self._folder / "accepted.jsonl")
        self._found.accepted = len(accepted)
        for run in accepted:
            if run["run_id"] not in self._runs:
                self._fault("lost", f"run {run['run_id']} ({run['label']}) was accepted and is not stored")
        for run_id, run in self._runs.items():
            if run["status"] in ("failed", "cancelled"):
                self._fault("failed", f"run {run_id} ({run['label']}): {run['error']}")
            elif run["status"] != "done":
                self._fault("unfinished", f"run {run_id} ({run['label']}) is {run['status']}")
        for label, times in Counter(run["label"] for run in self._runs.values()).items():
            if times > 1:
                self._fault("started twice", f"{label} has {times} runs")
        for final in lines_of(self._folder / "states.jsonl"):
            if final["steps"] != ORDER or not final["answer"]:
                self._fault("wrong state", f"{final['label']} went {final['steps']}")

    def _every_answer_stands(self) -> None:
        stored = {row["approval_id"]: row for row in self._approvals}
        for said in self._said:
            if "failed" in said:
                self._fault("answer refused", said["error"])
            elif "recorded" in said:
                self._found.answers += 1
                row = stored.get(said["approval_id"])
                if row is None or row["state"] != "decided" or row["decision"]["decision"] != said["word"]:
                    self._fault("answer lost", f"{said['word']} on {said['approval_id']}")
        decided = Counter((row["run_id"], row["question_key"]) for row in self._approvals if row["state"] == "decided")
        self._found.asked_twice = sum(times > 1 for times in decided.values())
        for (run_id, key), times in decided.items():
            if times > 1:
                self._fault("asked twice", f"{key} of {run_id} was decided {times} times")

    def _effect(self, effect: Row) -> None:
        entries = self._world.get(_key_outside(effect["key"]), [])
        doubts = [a for a in self._approvals if a["kind"] == "in_doubt" and a["payload"]["key"] == effect["key"]]
        words = [a["decision"]["decision"] for a in doubts if a["state"] == "decided"]
        retries = words.count("retry")
        self._found.retried += retries > 0
        if len(entries) > 1 + (retries if effect["tool"] in UNSAFE else 0):
            self._fault("twice", f"{effect['tool']} {effect['args']} happened {len(entries)} times, {retries} chosen")
        if effect["tool"] in UNSAFE:
            for entry in entries:
                self._approved(effect, entry)
        self._outcome(effect, bool(entries), words)

    def _outcome(self, effect: Row, happened: bool, words: list[str]) -> None:
        if effect["state"] not in ("done", "abandoned"):
            self._fault("in doubt", f"{effect['tool']} {effect['args']} is still {effect['state']}")
        elif words and words[-1] != "retry":
            self._found.unknown += 1
        elif happened != (effect["state"] == "done" and effect["result"]["status"] == "ok"):
            self._fault("wrong outcome", f"{effect['tool']} {effect['args']} is {effect['state']}; world: {happened}")
        elif happened:
            self._found.done += 1
        else:
            self._found.not_done += 1

    def _approved(self, effect: Row, entry: sink.Entry) -> None:
        """Somebody decided, before it happened, about exactly these arguments."""
        for row in self._approvals:
            if row["kind"] != "tool_call" or row["question_key"] != effect["key"] or row["state"] != "decided":
                continue
            word = row["decision"]["decision"]
            shown = row["decision"].get("args") if word == "edit" else row["payload"]["args"]
            fits = shown == effect["args"] and shown["label"] == entry["payload"]["label"]
            early = datetime.fromisoformat(row["decided_at"]).timestamp() <= entry["at"]
            if word in ("approve", "edit") and fits and early and _digest_of(row) == row["digest"]:
                return
        self._fault("not approved", f"{effect['tool']} {entry['payload']} of {effect['run_id']}")

    def _every_doubt_was_shown(self) -> None:
        shown = {row["payload"]["key"] for row in self._approvals if row["kind"] == "in_doubt"}
        for doubt in lines_of(self._folder / "doubts.jsonl"):
            if doubt["key"] not in shown:
                self._fault("doubt not shown", f"{doubt['tool']} of {doubt['run_id']} under {doubt['key']}")

    def _nothing_is_left(self) -> None:
        for run_id, run in self._runs.items():
            if run["owner"] is not None:
                self._fault("lease left", f"run {run_id} is held by {run['owner']}")
        for worker in history.workers(self._path):
            self._fault("worker left", worker)
        if (said := history.integrity(self._path)) != "ok":
            self._fault("damaged", said)
        for file in self._folder.glob(".runs.db*"):
            self._fault("file left", file.name)


def _key_outside(key: str) -> str:
    """The idempotency key that tools were given for a key of the journal."""
    return hashlib.sha256(json.dumps(key, ensure_ascii=False).encode()).hexdigest()[:32]


def _digest_of(row: Row) -> str:
    body = {"kind": row["kind"], "key": row["question_key"], "payload": row["payload"]}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    print(json.dumps(as_json(check(Path(sys.argv[1])))))
