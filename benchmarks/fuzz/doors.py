"""The seven doors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import answers, calls, configuration, documents, inputs, records, words
from .judging import Door

DOORS: dict[str, Callable[[Path], Door]] = {
    "arguments": words.door,
    "configuration": configuration.door,
    "input": inputs.door,
    "answers": answers.door,
    "calls": calls.door,
    "documents": documents.door,
    "records": records.door,
}
