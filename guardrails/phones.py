"""Phone numbers as people write them, with or without a country code.

Digits alone say little: an order, a date and two house numbers look the same. So a number needs a country code,
or a word about telephones nearby, or a grouping that Google's table of numbering plans (phonenumbers) knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from .finding import Finding

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

REGIONS: tuple[str, ...] = (
    "US", "GB", "DE", "FR", "ES", "IT", "CH", "AT", "NL", "BE", "PL", "SE", "NO", "DK", "FI", "PT", "IE",
    "CZ", "HU", "GR", "AU", "NZ", "ZA", "IN", "JP", "CN", "BR", "MX",
)  # fmt: skip
"""Countries whose numbering plans are tried for a number without a country code."""

_LONGEST = 15
"""Most digits of a number: ITU-T E.164."""

_GROUP = r"(?:\(\+?\d{1,5}\)|\d{1,15}(?!\d))"
_GAP = r"(?:[ \u00a0./\-]{1,2}|(?<=\))|(?=\())"
"""Never empty between digits: else a long row of them could be cut into groups in millions of ways."""
_CANDIDATE = re.compile(
    rf"(?<![0-9A-Za-z_À-\u0dff.,/:#$€£¥@\-+])\+?[ ]?{_GROUP}(?:{_GAP}{_GROUP}){{0,7}}"
    r"(?:[ ]?(?:x|ext\.?|extension)[ ]?\d{1,6})?(?![0-9A-Za-z_À-\u0dff])(?![.,:%/\-]\d)",
    re.IGNORECASE,
)
_WORD = re.compile(
    r"phone|\bcall|mobile|\bcell|\btel\b|\btel[.:]|\bfax|\bdesk|\boffice|\bdial|\bring\b|\btext\b|\bsms\b|messages?\b"
    r"|whatsapp|answering|\breach|\bcontact|hotline|handy|telefon|t[eé]l[eé]fono?|appel|chiama|ligar|llam|anruf"
    r"|móvil|celular|电话|手机|電話|携帯|телефон|звон",
    re.IGNORECASE,
)
_OTHER_WORD = re.compile(
    r"licen[sc]e|passport|account|order|invoice|tracking|\bid\b|card|transaction|\bzip\b|isbn|serial|ticket|version"
    r"|social.?security|\bssn\b|iban|\bbox\b|\bapt\b|suite|unit",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:\d{1,2}[./\-]\d{1,2}[./\-](?:\d{4}|\d{2})|\d{4}[./\-]\d{1,2}[./\-]\d{1,2})(?:[ T]\d{1,2}.*)?\Z", re.DOTALL
)
_EXTENSION = re.compile(r"[ ]?(?:x|ext).*\Z", re.IGNORECASE)
_THEN_A_NAME = re.compile(r"[ ,]{1,2}[^\W\d_]{2,}")
_SEPARATORS = re.compile(r"[^\d]+")


def phones(text: str, regions: Iterable[str] | None = None) -> Iterator[Finding]:
    """The phone numbers of a text, with their extensions.

    Args:
        text: Where to look.
        regions: Countries (two letters) whose plans are tried for numbers without a country code.
    """
    plans = REGIONS if regions is None else tuple(regions)
    for match in _CANDIDATE.finditer(text):
        number = _EXTENSION.sub("", match[0]).strip()
        digits = re.sub(r"\D", "", number)
        if 7 <= len(digits) <= 17 and not _DATE.match(number) and _is_phone(text, match, number, digits, plans):
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            yield Finding(start, match.end(), "phone")


def _is_phone(text: str, match: re.Match[str], number: str, digits: str, plans: tuple[str, ...]) -> bool:
    if number.startswith(("+", "(+")) or digits.startswith("00"):
        return _possible("+" + digits.removeprefix("00"))
    before = text[max(match.start() - 40, 0) : match.start()]
    said = _last(_WORD, before)
    if _last(_OTHER_WORD, before) > max(said, before.rfind("\n")):
        return False
    named = said >= 0 or _WORD.match(text[match.end() : match.end() + 12].lstrip(" ,(-"))
    if named:
        return len(digits) <= _LONGEST
    return _grouped(number) and not _THEN_A_NAME.match(text, match.end()) and _valid(digits, plans)


def _last(words: re.Pattern[str], before: str) -> int:
    return max((found.start() for found in words.finditer(before)), default=-1)


def _grouped(number: str) -> bool:
    """Two to five groups, the last of two digits or more: how people write numbers down."""
    groups = [group for group in _SEPARATORS.split(number) if group]
    return 2 <= len(groups) <= 5 and len(groups[-1]) >= 2


@lru_cache(maxsize=4096)
def _possible(number: str) -> bool:
    """Whether a number with a country code is as long as that country's are."""
    from phonenumbers import is_possible_number

    return any(is_possible_number(read) for read in _read(number, ("US",)))


@lru_cache(maxsize=4096)
def _valid(digits: str, plans: tuple[str, ...]) -> bool:
    """Whether a plan has handed this range out."""
    from phonenumbers import is_valid_number

    return any(is_valid_number(number) for number in _read(digits, plans))


def _read(digits: str, plans: tuple[str, ...]) -> Iterator[PhoneNumber]:
    """The digits as a number of each plan that can read them."""
    from phonenumbers import NumberParseException, parse

    for region in plans:
        try:
            yield parse(digits, region)
        except NumberParseException:
            continue
