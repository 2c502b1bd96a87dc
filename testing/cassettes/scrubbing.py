"""Takes secrets out of what is written: keys of the environment, keys by their shape, values that a user names."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH|_PAT\b|DSN|CONNECTION_STRING", re.I)
"""Names of environment variables whose values are secret."""
_SHORTEST = 8
"""Characters. Shorter values of the environment are words such as `none` or `ollama`, which prompts may hold."""
_SHAPES = re.compile(
    r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{16,}"
    r"|\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}"
    r"|\b(?:gsk|lsv2_[a-z]{2}|tvly|r8|pplx|xai)[_-][A-Za-z0-9_-]{16,}|\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?|bearer\s+)"
    r"(?!<)[A-Za-z0-9._~+/=-]{8,}"
)
_FIELD = re.compile(
    r"(?i)([?&\"'\s](?:(?:x-)?api[-_]?key|access[-_]?token|client[-_]?secret|password)[\"']?\s*[:=]\s*[\"']?)"
    r"(?!<)[^\s\"'&,;<>]{6,}"
)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)(?!<)[^/\s:@]*:[^/\s@]+@")


class Scrubber:
    """Replaces secrets by names such as `<OPENAI_API_KEY>`; doing it twice changes nothing.

    Args:
        secrets: Further values; or names by which they are replaced, and the values.
        environment: Where keys are looked up; by default that of the process. Variables count whose names speak of
            keys, tokens or passwords, and those that `COLLEGIUM_SCRUB` names (with commas between).
    """

    def __init__(
        self, secrets: Iterable[str] | Mapping[str, str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        if isinstance(secrets, Mapping):
            found = {value: name for name, value in cast("Mapping[str, str]", secrets).items()}
        else:
            found = dict.fromkeys(secrets, "")
        found |= _of_environment(os.environ if environment is None else environment)
        self._names = {form: f"<{name or 'secret'}>" for value, name in found.items() for form in _forms(value)}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._values is not None:
            text = self._values.sub(lambda match: self._names[match.group()], text)
        text = _SHAPES.sub("<key>", text)
        text = _HEADER.sub(r"\1<key>", text)
        text = _FIELD.sub(r"\1<key>", text)
        return _USERINFO.sub(r"\1<key>@", text)

    def json(self, value: Any) -> Any:
        """JSON types without secrets, keys of objects included."""
        match value:
            case str():
                return self.text(value)
            case list() | tuple():
                return [self.json(item) for item in cast("list[Any]", value)]
            case dict():
                pairs = cast("dict[str, Any]", value).items()
                return {self.text(str(key)): self._field(str(key), item) for key, item in pairs}
            case _:
                return value

    def _field(self, key: str, value: Any) -> Any:
        secret = isinstance(value, str) and value and not value.startswith("<") and _is_secret_field(key)
        return "<key>" if secret else self.json(value)


def _of_environment(environment: Mapping[str, str]) -> dict[str, str]:
    asked = {name.strip() for name in environment.get("COLLEGIUM_SCRUB", "").split(",")}
    found = {value: name for name, value in environment.items() if name in asked and value}
    guessed = {v: n for n, v in environment.items() if _NAMES.search(n) and len(v) >= _SHORTEST and n not in asked}
    return {**{v: n for v, n in guessed.items() if not _is_place(v)}, **found}


def _is_place(value: str) -> bool:
    """A path or a socket (SSH_AUTH_SOCK), which names where a secret lies."""
    return value.startswith(("/", "~", "unix:"))


def _forms(value: str) -> set[str]:
    """The value as it is, within JSON, within a URL, and as HTTP's basic authorisation has it."""
    forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value, safe="")}
    if len(value) >= _SHORTEST:
        forms.add(base64.b64encode(value.encode("utf-8", "surrogatepass")).decode().rstrip("="))
    return {form for form in forms if form}


def _is_secret_field(key: str) -> bool:
    plain = key.lower().replace("_", "-")
    return plain in {
        "authorization",
        "proxy-authorization",
        "api-key",
        "apikey",
        "x-api-key",
        "password",
        "client-secret",
    }
