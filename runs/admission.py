"""What a run is admitted with beside its input, as callers give it: checked before anything is stored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, get_args

from ..core.errors import InvalidInput

OnBusy = Literal["reject", "enqueue"]
"""What to do with a new run while its thread has an unfinished one."""

_OTHER_WAYS = {
    "interrupt": "cancel the unfinished run first; its recorded effects stay, and the new run starts after them",
    "rollback": "cancel the unfinished run first; what it did to the world stays done, so it is not forgotten",
}
"""Words of LangGraph Platform's `multitask_strategy` that are not taken, and what to do in their place."""

MAX_LENGTH = 200
"""Most characters of a tag, and of a key of the metadata."""

MAX_TAGS = 50
"""Most tags of one run."""

MAX_METADATA = 16_384
"""Most characters of a run's metadata as JSON text."""

SCALARS = (str, int, float, bool)
"""What a value must be for runs to be found by it."""


def checked_on_busy(word: str) -> OnBusy:
    """The word, if it is one.

    Raises:
        InvalidInput: It is none; the error names those that are.
    """
    known = get_args(OnBusy)
    if word in known:
        return cast(OnBusy, word)
    instead = f" In its place: {_OTHER_WAYS[word]}." if word in _OTHER_WAYS else ""
    raise InvalidInput("on_busy", f"{word!r} is not one of {', '.join(known)}.{instead}")


def checked_timeout(timeout_s: object) -> float | None:
    """The limit in seconds; None is no limit.

    Raises:
        InvalidInput: It is not a number above 0.
    """
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
        raise InvalidInput("timeout_s", f"{timeout_s!r} is not a number of seconds above 0; None is no limit.")
    return float(timeout_s)


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, each once, in the order given.

    Raises:
        InvalidInput: One is empty or too long, or there are too many.
    """
    if isinstance(tags, str):
        raise InvalidInput("tags", f"{tags!r} is one text; a list of tags is needed: [{tags!r}].")
    found = tuple(dict.fromkeys(tags))
    for tag in found:
        _check_word("tags", "a tag", tag)
    if len(found) > MAX_TAGS:
        raise InvalidInput("tags", f"{len(found)} tags are too many; a run has at most {MAX_TAGS}.")
    return found


def checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata as it is stored: read back from its JSON text, so that everybody sees the same.

    Raises:
        InvalidInput: A key is empty or too long, a value is not JSON, or all is too long; the error names the key.
    """
    found: dict[str, Any] = {}
    length = 0
    for key, value in (metadata or {}).items():
        _check_word("metadata", "a key", key)
        text = _as_json(key, value)
        length += len(key) + len(text)
        found[key] = json.loads(text)
    if length > MAX_METADATA:
        raise InvalidInput("metadata", f"it has {length:,} characters as JSON; {MAX_METADATA:,} are the most.")
    return found


def wanted_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Metadata that runs are to have.

    Raises:
        InvalidInput: A value is not one that runs are found by.
    """
    found = checked_metadata(metadata)
    for key, value in found.items():
        if not isinstance(value, SCALARS):
            raise InvalidInput(f"metadata.{key}", "runs are found by text, numbers and truth values only.")
    return found


def _check_word(field: str, what: str, word: object) -> None:
    if not isinstance(word, str):
        raise InvalidInput(field, f"{what} must be text, not {word!r}.")
    if not word.isascii() and word != word.encode(errors="replace").decode():
        raise InvalidInput(field, f"{what} is not valid Unicode: {word[:40]!r}.")
    if not word.strip():
        raise InvalidInput(field, f"{what} is empty.")
    if len(word) > MAX_LENGTH:
        raise InvalidInput(field, f"{what} has {len(word):,} characters; {MAX_LENGTH} are the most: {word[:40]!r}…")


def _as_json(key: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"metadata.{key}", f"{value!r:.80} is not JSON: {error}.") from error
