"""Structured personal data: mail addresses, cards, IBANs, IP addresses, US social security numbers, phones.

Numbers count only when their check digits hold (python-stdnum), addresses when `ipaddress` reads them, and phones
when Google's table of numbering plans knows them (phonenumbers). Names and postal addresses need a model and are
not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Literal, get_args

from .finding import Finding
from .phones import phones

Kind = Literal["email", "card", "iban", "ip", "ssn", "phone"]

_GAP = r"[ \u00a0\u2009\u202f\u200b-\u200d\u2060\ufeff.\-]"
"""What people, and those who hide something, put between groups of digits."""

_W = r"0-9A-Za-z_À-\u0dff"
"""Letters that touch a number or an address only when they belong to it: scripts without word spaces may touch both."""

_EMAIL = re.compile(
    rf"(?<![{_W}.%+\-])[{_W}.%+\-]{{1,64}}@(?:[^\W_](?:[\w\-]{{0,61}}[^\W_])?\.){{1,8}}(?:[A-Za-z]{{2,24}}|[^\W\d_]{{2,24}})(?![{_W}@])"
)
_CARD = re.compile(rf"(?<![{_W}.,])\d(?:{_GAP}?\d){{11,18}}(?!\d)(?![.,]\d)(?![{_W}])")
_IBAN = re.compile(rf"(?<![{_W}])[A-Za-z]{{2}}{_GAP}?\d{{2}}(?:{_GAP}?[A-Za-z0-9]){{11,30}}(?![A-Za-z0-9])")
_GROUP_END = re.compile(r"[^A-Za-z0-9]|$")
_IPV4 = re.compile(
    rf"(?<![{_W}.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){{3}}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![{_W}]|\.\d)"
)
_IPV6 = re.compile(
    rf"(?<![{_W}:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}(?:[0-9A-Fa-f]{{1,4}}|(?:\d{{1,3}}\.){{3}}\d{{1,3}})?(?![{_W}:])"
)
_SSN = re.compile(rf"(?<![{_W}\-.])(?!000|666|9)\d{{3}}([ \-])(?!00)\d{{2}}\1(?!0000)\d{{4}}(?![{_W}\-]|\.\d)")
_BARE_SSN = re.compile(rf"(?<![{_W}\-.])(?!000|666|9)\d{{3}}(?!00)\d{{2}}(?!0000)\d{{4}}(?![{_W}\-]|\.\d)")
_THREE_DIGITS = re.compile(r"\d{3}")
_SSN_WORD = re.compile(r"social.?security|\bssn\b", re.IGNORECASE)
_CARD_WORD = re.compile(r"card|visa|maestro|amex|kart|tarjeta|carte|cart[aã]o|卡|カード|карт", re.IGNORECASE)
_VERSION = re.compile(r"(?:version|release|\bv)\s*\Z", re.IGNORECASE)

_ISSUERS = re.compile(
    r"4|5[0-8]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[0-9]|6|(?:1800|2131)|9792|220[0-4]",
)
"""First digits of payment cards: ISO/IEC 7812 ranges that card schemes hand out."""


class PersonalData:
    """Finds structured personal data; a `Finder`."""

    def __init__(self, kinds: Collection[Kind] = get_args(Kind), *, regions: Iterable[str] | None = None) -> None:
        """A finder of personal data.

        Args:
            kinds: What to look for; by default all.
            regions: Countries (two letters) in which a phone number without a country code may be; by default
                those of `phones.REGIONS`.
        """
        self.kinds = frozenset(kinds)
        looks: dict[Kind, Callable[[str], Iterable[Finding]]] = {
            "email": _emails,
            "card": _cards,
            "iban": _ibans,
            "ip": _addresses,
            "ssn": _security_numbers,
            "phone": lambda text: phones(text, regions),
        }
        self._looks = tuple(look for kind, look in looks.items() if kind in self.kinds)

    def __call__(self, text: str) -> list[Finding]:
        """What is in the text; a phone gives way to a finding that has check digits or a form of its own."""
        found = [finding for look in self._looks for finding in look(text)]
        firm = [finding for finding in found if finding.kind != "phone"]
        return [one for one in found if one.kind != "phone" or not any(map(_overlaps(one), firm))]


def _overlaps(one: Finding) -> Callable[[Finding], bool]:
    """Whether another finding shares a character with this one."""
    return lambda other: other.start < one.end and one.start < other.end


def _emails(text: str) -> Iterator[Finding]:
    if "@" in text:
        yield from (Finding(*match.span(), "email") for match in _EMAIL.finditer(text))


def _cards(text: str) -> Iterator[Finding]:
    def is_card(start: int, end: int) -> bool:
        digits = "".join(filter(str.isdigit, text[start:end]))
        if len(digits) < 12 or len(set(digits)) == 1 or not _holds_luhn(digits):
            return False
        issued = len(digits) >= 13 and _ISSUERS.match(digits)
        return bool(issued or _CARD_WORD.search(text, max(start - 40, 0), start))

    yield from _checked(text, _CARD, "card", is_card)


def _ibans(text: str) -> Iterator[Finding]:
    yield from _checked(text, _IBAN, "iban", lambda start, end: _is_iban(re.sub(r"[^A-Za-z0-9]", "", text[start:end])))


def _checked(text: str, pattern: re.Pattern[str], kind: str, holds: Callable[[int, int], bool]) -> Iterator[Finding]:
    """What matches and holds its check digits: the longest beginning of a match that ends with a group.

    Numbers in a row, and words after a number, are in one match; what follows the beginning is looked at anew.
    """
    place = 0
    while match := pattern.search(text, place):
        start, stop = match.span()
        ends = (end for end in range(stop, start + 11, -1) if end == stop or not text[end].isalnum())
        end = next((end for end in ends if text[end - 1].isalnum() and holds(start, end)), None)
        if end is None:
            group = _GROUP_END.search(text, start)
            place = group.start() if group else stop
        else:
            yield Finding(start, end, kind)
            place = end


def _addresses(text: str) -> Iterator[Finding]:
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            if not _VERSION.search(text, max(match.start() - 12, 0), match.start()):
                yield Finding(*match.span(), "ip")
    if text.count(":") >= 2:
        yield from (Finding(*match.span(), "ip") for match in _IPV6.finditer(text) if _is_ipv6(match[0]))


def _is_ipv6(candidate: str) -> bool:
    try:
        IPv6Address(candidate)
    except AddressValueError:
        return False
    groups = [group for group in candidate.split(":") if group]
    return len(groups) > 2 or any(len(group) > 2 and not group.isalpha() for group in groups)  # `a::b` is C++


def _security_numbers(text: str) -> Iterator[Finding]:
    if not _THREE_DIGITS.search(text):
        return
    yield from (Finding(*match.span(), "ssn") for match in _SSN.finditer(text))
    for word in _SSN_WORD.finditer(text):
        for match in _BARE_SSN.finditer(text, word.end(), word.end() + 40):
            yield Finding(*match.span(), "ssn")


@lru_cache(maxsize=4096)
def _holds_luhn(digits: str) -> bool:
    from stdnum import luhn

    return bool(luhn.is_valid(digits))


@lru_cache(maxsize=4096)
def _is_iban(candidate: str) -> bool:
    from stdnum import iban

    return bool(iban.is_valid(candidate, check_country=False))
