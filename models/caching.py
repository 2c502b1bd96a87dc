"""Answers kept on disk while one develops: an identical request is not sent twice."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ..core.ids import digest
from ..core.messages import Usage
from .backend import Call, report
from .base import Completion, ReasoningDelta, StreamEvent, TextDelta
from .taping import completion_from_json, completion_to_json, request_of

_VERSION = 1


class ResponseCache:
    """A folder of answers, one file a request; several processes may share it.

    The key is the model's spec and the whole request: messages, schema, tools and settings. Only whole answers are
    kept, never errors, and never what tools did. A file that cannot be read or written counts as none.

    Args:
        folder: Where they lie; made when the first answer comes. Readable by its owner only.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    async def answer(self, spec: str, call: Call, ask: Callable[[], Awaitable[Completion[Any]]]) -> Completion[Any]:
        """The kept answer, which costs nothing; else that of `ask`, kept."""
        path = self._path(spec, call)
        if (known := _read(path, call)) is not None:
            return _told(spec, known)
        completion = await ask()
        _write(path, completion)
        return completion

    async def stream(
        self, spec: str, call: Call, events: Callable[[], AsyncGenerator[StreamEvent, None]]
    ) -> AsyncGenerator[StreamEvent, None]:
        """The kept answer as one piece; else the stream, whose end is kept."""
        path = self._path(spec, call)
        if (known := _read(path, call)) is not None:
            completion = _told(spec, known)
            if completion.reasoning:
                yield ReasoningDelta(completion.reasoning)
            if completion.text:
                yield TextDelta(completion.text)
            yield completion
            return
        made = events()
        try:
            async for event in made:
                if isinstance(event, Completion):
                    _write(path, event)
                yield event
        finally:
            await made.aclose()

    def _path(self, spec: str, call: Call) -> Path:
        key = digest({"version": _VERSION, "spec": spec, "request": request_of(call)})
        return self.folder / key[:2] / f"{key[2:]}.json"


def _read(path: Path, call: Call) -> Completion[Any] | None:
    try:
        return completion_from_json(json.loads(path.read_text(encoding="utf-8")), call.output)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _write(path: Path, completion: Completion[Any]) -> None:
    if completion.finish_reason not in ("stop", "tool_calls"):
        return
    with suppress(OSError, UnicodeEncodeError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps(completion_to_json(completion), ensure_ascii=False, indent=1)
        with NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        os.replace(file.name, path)


def _told(spec: str, known: Completion[Any]) -> Completion[Any]:
    """The kept answer as it counts in a run: no tokens, no request."""
    completion = replace(known, usage=Usage(), requests=0)
    report(spec, completion, 0.0, cached=True)
    return completion
