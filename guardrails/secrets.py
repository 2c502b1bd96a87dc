"""Keys, tokens and passwords.

The formats of services come from detect-secrets, whose detectors run in this process on text instead of files.
What its last release does not know (newer services, whole tokens in place of their first half) is added here, as
are passwords that are called so. Bare digests and ids are left alone: they look like keys and hardly ever are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from .finding import Finding

_PLUGINS = (
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
"""Detectors for text of any kind; those left out go by words of configuration files, or match too early an end."""

_NEWER = re.compile(
    r"(?<![A-Za-z0-9_])(?:sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_\-]{20,}|github_pat_\w{22,}|AIza[\w\-]{35}"
    r"|ya29\.[\w\-]{20,}|hf_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{40,}|gsk_[A-Za-z0-9]{40,}|pplx-[a-f0-9]{40,}"
    r"|npm_[A-Za-z0-9]{36}|dop_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|rk_live_\w{20,}"
    r"|sk_(?:live|test)_\w{20,}|whsec_[\w+/=]{24,}|AGE-SECRET-KEY-1[0-9A-Z]{50,}|hvs\.[\w\-]{24,}"
    r"|eyJ[\w\-]{8,}={0,2}\.[\w\-]{4,}={0,2}(?:\.[\w\-]*={0,2}){0,3})"
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----BEGIN).){0,16384}?-----END [A-Z0-9 ]{3,40}-----"
    r"|-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----.{0,4096}",
    re.DOTALL,
)
_IN_URL = re.compile(r"\w://[^\s:/?#@\[\]]{0,64}:([^\s/?#@]{1,256})@[\w\[]")
_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase|code)|passwort|contraseña|mot de passe|senha|пароль|密码|密碼|パスワード|\bpwd|secret"
    r"|(?:api|access|auth|account|private|signing|encryption|master)[_\- ]?key|token|credentials?)"
    r"[\"'`\]]{0,2}[ \t]{0,3}(?::=|=>|==?|:|：|\bis\b|\bist\b|\bes\b|\best\b|是|は)[ \t]{0,3}"
    r"(?:\"([^\"\s]{6,256})\"|'([^'\s]{6,256})'|([^\s\"'`,;<>(){}\[\]|：]{6,256}))",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?:Bearer|Basic|Token)[ ]{1,2}([A-Za-z0-9_\-.+/=]{16,4096})(?![\w])")
_LONG_RUN = re.compile(r"[A-Za-z0-9_\-]{16}")
_STAND_IN = re.compile(
    r"\A(?:[\W_]*|[x*.•#\-]+|(?:your|my|the|some|example|changeme|insert|placeholder|redacted)(?![^\W_]).{0,40}"
    r"|\$.*|%.*|[\w.]+\(.*|true|false|null|none|undefined|string|process\.env.*|os\.environ.*)\Z",
    re.IGNORECASE,
)


class Secrets:
    """Finds keys, tokens and passwords; a `Finder` whose findings are of the kind `secret`."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """A finder of secrets.

        Args:
            known: Secrets of the application itself (its keys), found wherever they stand. Shorter ones than 6
                characters are left out.
        """
        own = sorted({secret for secret in known if len(secret) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, own))) if own else None

    def __call__(self, text: str) -> list[Finding]:
        """The secrets of a text."""
        return [Finding(start, end, "secret") for start, end in self._places(text)]

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        if self._known:
            yield from (match.span() for match in self._known.finditer(text))
        if "-----BEGIN" in text:
            yield from (match.span() for match in _KEY_BLOCK.finditer(text))
        if "://" in text:
            yield from (match.span(1) for match in _IN_URL.finditer(text))
        for match in _NAMED.finditer(text):
            group = match.lastindex or 0
            if _is_value(match[group], quoted=group < 3):
                yield _without_full_stop(match[group], match.start(group))
        if _LONG_RUN.search(text):
            yield from (match.span() for match in _NEWER.finditer(text))
            yield from (match.span(1) for match in _BEARER.finditer(text) if _mixed(match[1]))
            for pattern in _service_formats():
                yield from (_place(match) for match in pattern.finditer(text))


def _place(match: re.Match[str]) -> tuple[int, int]:
    """The secret in a match of detect-secrets: its group where that holds more than a prefix."""
    return match.span(1) if match.re.groups and match[1] and len(match[1]) >= 16 else match.span()


def _without_full_stop(value: str, start: int) -> tuple[int, int]:
    return start, start + len(value.rstrip(".,:!?"))


def _is_value(value: str, *, quoted: bool) -> bool:
    """Whether what follows `password is` is one: no word of the language, no stand-in, no expression."""
    if _STAND_IN.match(value):
        return False
    return quoted and not value.isalpha() or _mixed(value.rstrip(".,:!?"))


def _mixed(value: str) -> bool:
    """Whether it is written as no word is: digits among letters, or capitals inside."""
    letters, digits = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    inner_capital = value[1:] != value[1:].lower() and not value.isupper()
    return (letters and digits) or (digits and len(value) >= 6) or (inner_capital and len(value) >= 8)


@lru_cache(maxsize=1)
def _service_formats() -> tuple[re.Pattern[str], ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    kinds: Iterable[Any] = get_mapping_from_secret_type_to_class().values()
    found = {str(kind.__name__): kind for kind in kinds}
    return tuple(pattern for name in _PLUGINS for pattern in found[name]().denylist)
