"""Collections to retrieve from: documents, questions, and what was judged to answer them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..core.errors import InvalidInput
from .rows import read_rows


@dataclass(frozen=True, slots=True)
class Document:
    """One text to be found."""

    doc_id: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of a document that answer a question."""

    doc_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what answers it: whole documents, or spans of them."""

    query_id: str
    text: str
    relevant: frozenset[str] = frozenset()
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, and judged questions about them; questions without an answer are left out."""

    documents: Sequence[Document]
    questions: Sequence[Question]


def read_collection(corpus: Path, queries: Path, qrels: Path | None = None) -> Collection:
    """A collection whose documents were judged whole.

    Args:
        corpus: Rows of `id`, `text` and, where there is one, `title`.
        queries: Rows of `id` and the query: `text`, `question`, or `user` (a text, or an object of texts).
        qrels: Rows of `query_id`, `doc_id` and `grade`, see `relevant_documents`; without it each query has
            `required_documents`, a list of document ids.

    Raises:
        InvalidInput: A file cannot be read or lacks a field, or no query has a relevant document.
    """
    documents = _documents(corpus)
    rows = read_rows(queries, ("id",) if qrels else ("id", "required_documents"))
    judged = relevant_documents(qrels) if qrels else {str(row["id"]): _listed(queries, row) for row in rows}
    return _collection(
        documents,
        [Question(str(row["id"]), _text(queries, row), judged.get(str(row["id"]), frozenset())) for row in rows],
        queries,
    )


def read_spans(corpus: Path, questions: Path) -> Collection:
    """A collection whose answers are spans.

    Args:
        corpus: Rows of `id` and `text`.
        questions: Rows of `id`, `question`, `doc_id` and `spans`, a list of [start, end) in that document's text; or
            `answer` and `start`, where it begins, in place of `spans`.

    Raises:
        InvalidInput: A file cannot be read or lacks a field, or no question has a span.
    """
    asked = [
        Question(
            str(row["id"]),
            _text(questions, row),
            frozenset({str(row["doc_id"])}),
            _spans(questions, row),
        )
        for row in read_rows(questions, ("id", "doc_id"))
    ]
    documents = [Document(document.doc_id, document.text) for document in _documents(corpus)]
    return _collection(documents, [question for question in asked if question.spans], questions)


def relevant_documents(qrels: Path) -> dict[str, frozenset[str]]:
    """The relevant documents of each query that has any: those with a grade above 0, or without a grade.

    Raises:
        InvalidInput: The file cannot be read, or lacks a field.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for row in read_rows(qrels, ("query_id", "doc_id"), numbers=("grade",)):
        if row.get("grade", 1) > 0:
            found[str(row["query_id"])].add(str(row["doc_id"]))
    return {query: frozenset(documents) for query, documents in found.items()}


def _documents(corpus: Path) -> list[Document]:
    rows = read_rows(corpus, ("id", "text"))
    return [Document(str(row["id"]), str(row["text"]), str(row.get("title") or "")) for row in rows]


def _collection(documents: list[Document], asked: Sequence[Question], file: Path) -> Collection:
    questions = [question for question in asked if question.relevant]
    if not questions:
        raise InvalidInput(str(file), "none of its queries has a relevant document; are the ids those of the qrels?")
    known = {document.doc_id for document in documents}
    if missing := {doc_id for question in questions for doc_id in question.relevant} - known:
        raise InvalidInput(str(file), f"{len(missing)} judged documents are not in the corpus, as {min(missing)!r}.")
    return Collection(documents, questions)


def _spans(file: Path, row: Mapping[str, Any]) -> tuple[Span, ...]:
    try:
        places = row["spans"] if "spans" in row else [(row["start"], row["start"] + len(row["answer"]))]
        return tuple(Span(str(row["doc_id"]), int(start), int(end)) for start, end in places)
    except (KeyError, TypeError, ValueError) as error:
        told = "`spans`, a list of [start, end], or `answer` and `start`"
        raise InvalidInput(str(file), f"question {row['id']!r} needs {told}.") from error


def _text(file: Path, row: Mapping[str, Any]) -> str:
    found: object = next((row[name] for name in ("text", "question", "user") if row.get(name)), None)
    if isinstance(found, dict):
        values = cast("dict[str, object]", found).values()
        found = "\n".join(value for value in values if isinstance(value, str))
    if not isinstance(found, str) or not found.strip():
        raise InvalidInput(str(file), f"query {row['id']!r} has no `text`, `question` or `user`.")
    return found


def _listed(file: Path, row: Mapping[str, Any]) -> frozenset[str]:
    found: object = row["required_documents"]
    if not isinstance(found, list):
        raise InvalidInput(str(file), f"`required_documents` of query {row['id']!r} must be a list.")
    return frozenset(str(doc_id) for doc_id in cast("list[object]", found))
