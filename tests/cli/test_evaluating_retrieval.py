"""`collegium eval retrieval`: keyword, vector and fused search on judged documents and spans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def harbour(tmp_path: Path) -> list[str | Path]:
    """A small collection with judged documents."""
    corpus: list[dict[str, Any]] = [
        {"id": "a", "title": "Lamps", "text": "A red lamp marks the port side."},
        {"id": "b", "title": "", "text": "A berth costs forty crowns a night."},
        {"id": "c/1", "title": "Hours", "text": "The harbour opens at six in the morning."},
    ]
    queries: list[dict[str, Any]] = [
        {"id": 1, "text": "Which side has a red lamp?"},
        {"id": 2, "question": "When does the harbour open?"},
    ]
    judged: list[dict[str, Any]] = [{"query_id": 1, "doc_id": "a", "grade": 1}, {"query_id": 2, "doc_id": "c/1"}]
    files: dict[str, list[dict[str, Any]]] = {"--corpus": corpus, "--queries": queries, "--qrels": judged}
    made = [(name, lines(tmp_path / f"{name[2:]}.jsonl", rows)) for name, rows in files.items()]
    return [word for pair in made for word in pair]


def test_a_search_is_measured_on_judged_documents(collegium: Command, harbour: list[str | Path]) -> None:
    found = collegium("eval", "retrieval", *harbour, "--keyword-only", "--json").json

    assert (found["documents"], found["queries"]) == (3, 2)
    assert found["keyword"]["ndcg@10"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert "fused" not in found
    shown = collegium("eval", "retrieval", *harbour, "--keyword-only").out
    assert "ndcg@10" in shown
    assert "3 documents, 3 passages, 2 judged questions" in shown


def test_queries_may_name_their_documents_themselves(
    collegium: Command, harbour: list[str | Path], tmp_path: Path
) -> None:
    tasks: list[dict[str, Any]] = [
        {
            "id": "t1",
            "user": {"known": "I come by ship.", "reason": "What does a berth cost?"},
            "required_documents": ["b"],
        },
        {"id": "t2", "user": "Nothing.", "required_documents": []},
    ]
    file = lines(tmp_path / "tasks.jsonl", tasks)

    found = collegium("eval", "retrieval", *harbour[:2], "--queries", file, "--keyword-only", "--json").json

    assert (found["queries"], found["keyword"]["recall@10"]["value"]) == (1, 1.0)


def test_spans_are_found_where_they_stand(collegium: Command, tmp_path: Path) -> None:
    text = "The harbour opens at six. " + "Ships wait outside. " * 200 + "A berth costs forty crowns."
    corpus = lines(tmp_path / "corpus.jsonl", [{"id": "port", "text": text}])
    at = text.index("A berth")
    asked: list[dict[str, Any]] = [
        {"id": "q1", "question": "What does a berth cost?", "doc_id": "port", "spans": [[at, len(text)]]},
        {"id": "q2", "question": "What does a berth cost?", "doc_id": "port", "spans": [[at, len(text)], [30, 4000]]},
        {"id": "q3", "question": "What does a berth cost?", "doc_id": "port", "answer": "A berth", "start": at},
        {"id": "q4", "question": "What does a berth cost?", "doc_id": "port", "spans": [[30, 4000]]},
    ]
    questions = lines(tmp_path / "questions.jsonl", asked)

    given = ("--corpus", corpus, "--questions", questions, "--keyword-only", "--json")
    found = collegium("eval", "retrieval", *given).json

    assert found["keyword"]["any_span@2000"]["value"] == 0.75
    assert found["keyword"]["all_spans@2000"]["value"] == 0.5
    odd = lines(tmp_path / "odd.jsonl", [{"id": "q5", "question": "Why?", "doc_id": "port", "spans": [3]}])
    refused = collegium("eval", "retrieval", "--corpus", corpus, "--questions", odd, "--keyword-only")
    assert (refused.status, "question 'q5' needs `spans`" in refused.line) == (2, True)


def test_a_kept_index_is_used_again(collegium: Command, harbour: list[str | Path], tmp_path: Path) -> None:
    first = collegium("eval", "retrieval", *harbour, "--keyword-only", "--keep", tmp_path / "kept", "--json").json
    file = next((tmp_path / "kept" / "index").glob("catalog.db"))
    before = file.stat().st_mtime_ns

    again = collegium("eval", "retrieval", *harbour, "--keyword-only", "--keep", tmp_path / "kept", "--json").json

    assert again == first
    assert file.stat().st_mtime_ns == before


def test_ids_that_do_not_fit_are_said(collegium: Command, harbour: list[str | Path], tmp_path: Path) -> None:
    other = lines(tmp_path / "other.jsonl", [{"query_id": 1, "doc_id": "zz"}])
    strangers = lines(tmp_path / "strangers.jsonl", [{"query_id": 9, "doc_id": "a"}])

    missing = collegium("eval", "retrieval", *harbour[:4], "--qrels", other, "--keyword-only")
    unasked = collegium("eval", "retrieval", *harbour[:4], "--qrels", strangers, "--keyword-only")
    neither = collegium("eval", "retrieval", *harbour[:2])

    assert (missing.status, "'zz'" in missing.line) == (2, True)
    assert (unasked.status, "none of its queries" in unasked.line) == (2, True)
    assert (neither.status, "--queries" in neither.line) == (2, True)
