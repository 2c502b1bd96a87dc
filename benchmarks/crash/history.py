"""What the store says, read with SQL alone, so that no code of the system stands between it and the checker."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def _rows(path: Path, query: str) -> list[Row]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def runs(path: Path) -> list[Row]:
    """Every run; `label` is what it was submitted as."""
    found = _rows(path, "SELECT run_id, status, owner, error, metadata FROM run")
    return [{**row, "label": json.loads(row["metadata"]).get("label")} for row in found]


def approvals(path: Path) -> list[Row]:
    """Every approval, its JSON decoded."""
    found = _rows(
        path,
        "SELECT approval_id, run_id, question_key, kind, payload, digest, state, decision, decided_at FROM approval",
    )
    return [
        {**row, "payload": json.loads(row["payload"]), "decision": json.loads(row["decision"] or "null")}
        for row in found
    ]


def effects(path: Path) -> list[Row]:
    """Every record of the journal, its JSON decoded."""
    found = _rows(path, "SELECT key, run_id, tool, args, state, attempt, result FROM effect")
    return [{**row, "args": json.loads(row["args"]), "result": json.loads(row["result"] or "null")} for row in found]


def workers(path: Path) -> list[str]:
    """Who counts as alive."""
    return [row["worker_id"] for row in _rows(path, "SELECT worker_id FROM worker")]


def integrity(path: Path) -> str:
    """What SQLite's own check says of the file."""
    return str(_rows(path, "PRAGMA integrity_check")[0]["integrity_check"])
