"""Recorded answers of real services, where a folder with them is named by COLLEGIUM_DATA (not shipped)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from collegium.core.errors import BackendError
from collegium.models.base import Completion
from collegium.models.compatible.failures import Rejection, Transient, failure_of
from collegium.models.compatible.response import Reader
from collegium.models.compatible.stream import Assembly, EventSplitter
from collegium.testing.serving import stream

_FILE = Path(os.environ.get("COLLEGIUM_DATA", "no-data")) / "api-fixtures" / "responses.jsonl"
ROWS: list[dict[str, Any]] = (
    [json.loads(line) for line in _FILE.read_text("utf-8").splitlines()] if _FILE.is_file() else []
)
READER = Reader("openai-compatible:recorded")


def read(row: dict[str, Any]) -> Completion[None]:
    body = str(row["response"]).encode()
    if row["status"] not in (200, None):
        raise failure_of("recorded", Rejection(int(row["status"]), body))
    if row["kind"] == "json":
        return READER.read(READER.loads(body), 40)
    if row["kind"] == "chunks":
        body = stream(*body.decode().splitlines())
    assembly = Assembly(READER, 40)
    for event in EventSplitter(READER).feed(body + b"\n\n"):
        assembly.add(event)
    assembly.end()
    return assembly.completion()


def said(row: dict[str, Any]) -> str:
    """The text of a recorded body, read without any of our code."""
    try:
        content = json.loads(row["response"])["choices"][0]["message"].get("content")
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return content if isinstance(content, str) and "<think>" not in content else ""


@pytest.mark.skipif(not ROWS, reason="no recordings here")
@pytest.mark.parametrize("row", ROWS, ids=[str(row["id"]) for row in ROWS])
def test_a_recorded_answer_is_read_whole_or_is_a_typed_error(row: dict[str, Any]) -> None:
    try:
        done = read(row)
    except (BackendError, Transient):
        return
    assert done.text or done.tool_calls or done.reasoning or done.finish_reason in ("stop", "length", "other")
    assert said(row) in done.text or done.tool_calls
