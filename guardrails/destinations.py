"""Where a call would send something: the hosts, addresses and accounts that its arguments name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from ..tools.base import Tool

Reach = Literal["none", "known", "unknown"]
"""Whether a call names destinations, and whether all of them are known to the policy."""

_URL = re.compile(r"(?:https?|wss?|ftps?|file|data|javascript):|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_MAIL = re.compile(r"[^\s@<>,;:\"'()\[\]\\]+@[^\s@<>,;:\"'()\[\]\\]+")
_WHOLE_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_WHOLE = re.compile(rf"(?:mailto:)?{_MAIL.pattern}|{_WHOLE_URL.pattern}", re.IGNORECASE)
_APART = re.compile(r"[,;\r\n]+")


def destinations_in(tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The destinations of a call: hosts, mail addresses, or whatever else the tool's own parameters name.

    A tool says with `@tool(destinations=["to"])` which of its arguments name one. Of a tool that does not say,
    those arguments count that are a URL, or, where it acts, a mail address, at any depth.

    Args:
        tool: What is to be called.
        arguments: As `tool.validate` returned them.
    """
    declared: Iterable[str] = getattr(tool, "destinations", ())
    if declared:
        texts = [text for name in declared for text in _texts(arguments.get(name))]
        found = [place for text in texts for place in _places(text)]
    else:
        # To look somebody up by a mail address sends nothing there.
        whole = _WHOLE_URL if tool.effect == "read" else _WHOLE
        found = [place for text in _texts(dict(arguments)) if whole.fullmatch(text.strip()) for place in _places(text)]
    return tuple(dict.fromkeys(found))


def is_known(destination: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is this destination; `*` stands for any text within one part of it."""
    return any(_pattern(pattern).fullmatch(destination) for pattern in patterns)


@lru_cache(maxsize=512)
def _pattern(pattern: str) -> re.Pattern[str]:
    # A star that took in `/` or `@` would let `*.example.org` fit `evil.example/.example.org`.
    return re.compile(r"[^/\\?#@:\s]*".join(re.escape(part) for part in pattern.strip().lower().split("*")))


def reach_of(destinations: Iterable[str], patterns: Iterable[str]) -> Reach:
    """`known` when all of them are."""
    named = tuple(destinations)
    known = tuple(patterns)
    if not named:
        return "none"
    return "known" if all(is_known(place, known) for place in named) else "unknown"


def stands_in(destination: str, text: str) -> bool:
    """Whether a text names this destination, as a word of its own."""
    return bool(re.search(rf"(?<![\w.@+-]){re.escape(destination)}(?![\w@-]|\.\w)", text, re.IGNORECASE))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        for part in cast("Mapping[str, Any]", value).values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in cast("Iterable[Any]", value):
            yield from _texts(part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def _places(text: str) -> Iterator[str]:
    """What one text names: a host, each of several addresses, or the text itself."""
    text = text.strip()
    if _URL.match(text) and not text.lower().startswith("mailto:"):
        yield _host(text)
        return
    if addresses := _MAIL.findall(text.removeprefix("mailto:")):
        yield from (address.lower().rstrip(".") for address in addresses)
        return
    yield from (part.strip().lower() for part in _APART.split(text) if part.strip())


def _host(url: str) -> str:
    """The host of a URL; the whole URL where programs may read different hosts from it, so that no pattern fits."""
    if any(ord(char) < 33 or char in '\\<>"^`{|}' for char in url):
        return f"unclear:{url.lower()!r}"
    try:
        parts = urlsplit(url)
        host = "" if "@" in parts.netloc else (parts.hostname or "").rstrip(".")
    except ValueError:
        host = ""
    return host or f"unclear:{url.lower()!r}"
