"""From what went wrong on the wire to a typed error, and whether another try may help."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from ...core.errors import BackendError, BackendRejected, BackendUnavailable, PromptTooLong, UnknownModel
from .._json import as_object
from ..structured import FormatRefused
from .limits import LIMITS

_ABOUT_FORM = re.compile(
    r"response_format|json|schema|grammar|structured|guided|sampler|tool|function|"
    r"not support|unsupported|unrecognized|unexpected|unknown (field|param|argument)|extra",
    re.IGNORECASE,
)
"""Words by which servers say that they refuse the form asked for, rather than the conversation."""
_LENGTH_CODE = re.compile(r"context_length_exceeded|exceed_context_size|string_above_max_length")
_ABOUT_LENGTH = re.compile(
    r"maximum context length|(exceeds?|larger than|longer than|beyond) (the |this )?(available |model'?s? )*context|"
    r"prompt is too long|input is too long|too many (input )?tokens",
    re.IGNORECASE,
)
RETRIED = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may go away by themselves."""


class Transient(Exception):
    """Another try may help; `error` is what the caller gets when none is left.

    `wait_s` is how long the server asks to wait; a `busy` one works and asks for patience.
    """

    def __init__(self, error: BackendError, wait_s: float | None = None, *, busy: bool = False) -> None:
        super().__init__(error, wait_s)
        self.error, self.wait_s, self.busy = error, wait_s, busy


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says about its own failure."""

    message: str = ""
    code: str = ""
    status: int | None = None
    """Status given inside the body, if any."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An answer with a status other than 200."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def failure_of(model: str, rejection: Rejection) -> BackendError | Transient:
    """The error for a status other than 200."""
    status = rejection.status
    said = said_in(rejection.body)
    text = f"HTTP {status}" + (f": {said.message}" if said.message else "")
    if 300 <= status < 400:
        host = urlsplit(rejection.headers.get("location", "")).hostname or "another address"
        return BackendUnavailable(model, f"the server redirects to {host}; redirects are not followed.")
    if status in (401, 403):
        return BackendUnavailable(
            model, f"the key is missing or refused (HTTP {status}). Set the provider's key variable."
        )
    if status == 429 and "insufficient_quota" in said.code:
        return BackendRejected(model, f"the quota is used up. {text}")
    if status == 501:
        return FormatRefused(model, text)
    if is_about_length(said):
        return PromptTooLong(model, None, None, text)
    if status in RETRIED or status >= 500:
        return Transient(BackendUnavailable(model, text), retry_after_s(rejection.headers), busy=status == 429)
    if status == 404:
        return _not_found(model, said, text)
    if status in (400, 415, 422) and _ABOUT_FORM.search(said.message):
        return FormatRefused(model, text)
    return BackendRejected(model, text)


def failure_in_body(model: str, data: Mapping[str, Any]) -> BackendError | Transient:
    """The error for an error object sent with status 200 or as an event of a stream."""
    said = _read_error(data.get("error"))
    if is_about_length(said):
        return PromptTooLong(model, None, None, said.message)
    error = BackendUnavailable(model, f"the server reports an error: {said.message or 'without a message'}")
    if said.status is not None and 400 <= said.status < 500 and said.status not in RETRIED:
        return BackendRejected(model, error.problem)
    return Transient(error)


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The wait that a server asks for, in seconds: `retry-after-ms`, seconds or an HTTP date."""
    if (given := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, given / 1000)
    text = headers.get("retry-after")
    if (given := _number(text)) is not None:
        return max(0.0, given)
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, TypeError):
        return None
    return max(0.0, at.timestamp() - (time.time() if now is None else now))


def is_about_length(said: ServerError) -> bool:
    """Whether the prompt was longer than the model's window."""
    return bool(_LENGTH_CODE.search(said.code) or _ABOUT_LENGTH.search(said.message))


def said_in(body: bytes) -> ServerError:
    """What the body of an error says, whatever its shape; never raises."""
    try:
        data: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        return ServerError("" if text.startswith("<") else _short(text))
    if isinstance(data, dict):
        fields = as_object(data)
        return _read_error(fields.get("error", fields))
    return ServerError(_short(str(data)))


def _read_error(error: Any) -> ServerError:
    if not isinstance(error, dict):
        return ServerError(_short(str(error or "")))
    fields = as_object(error)
    code = fields.get("code")
    words = " ".join(str(fields.get(name) or "") for name in ("code", "type"))
    message = fields.get("message") or fields.get("detail") or ""
    return ServerError(_short(str(message)), words, code if isinstance(code, int) else None)


def _not_found(model: str, said: ServerError, text: str) -> BackendError:
    if "model" in said.code or "model" in said.message.lower():
        return UnknownModel(model, f"{text} `collegium models list` shows what is there.")
    return BackendUnavailable(model, f"{text}. The address answers, but has no chat completions.")


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None


def _short(text: str) -> str:
    """One line without control characters, of bounded length."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: LIMITS.error_characters * 4]).split())
    return clean if len(clean) <= LIMITS.error_characters else clean[: LIMITS.error_characters] + "…"
