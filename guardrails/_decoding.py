"""Texts inside a text that are written in a code: base64, hex, binary, Morse, rot13, Caesar, pig Latin."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

_BASE64 = re.compile(r"(?<![\w+/])(?:[A-Za-z0-9+/]{4}){5,2000}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(?![\w+/])")
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[ ,:]?){16,4000}(?![0-9A-Fa-f])")
_BINARY = re.compile(r"(?<![01])(?:[01]{8}[ ,]?){8,4000}(?![01])")
_MORSE = re.compile(r"(?:[.\-–·]{1,6}[ /]{1,3}){8,4000}[.\-–·]{1,6}")
_ASKED = re.compile(
    r"(?:decod|decipher|decrypt|unscrambl|entziffer|décod|déchiffr|decodific|descodific|descifr|decifr|раскодир|декодир|расшифр|解码|破译|解読|デコード|해독|디코딩|فك (?:تشفير|شفرة)|डिकोड|ডিকোড|giải mã|ถอดรหัส|i-decode|deşifre|çöz)"
    r".{0,60}?(?:morse|base ?64|hex\w*|binar\w*|rot-?13|caesar|c[eé]sar|cipher|code|pig latin|摩[尔斯]+|二进制|モールス|2進|모스|이진|모르스|мо[рp]зе|двоичн|शिफ़्ट|मोर्स|बाइनरी|مورس|ثنائ)",
    re.IGNORECASE | re.DOTALL,
)
_DECODE = re.compile(r"[Dd]eco?[dc]|[Dd]ecip|[Uu]nscr|entziff|chiffr|[Dd]escif|fre", 0)
_PIG = re.compile(r"\b[a-z]{2,}(?:ay)\b", re.IGNORECASE)
_WORDS = re.compile(r"\b(?:the|what|ignore|and|this|that|your|you|is|are|of|to|say|state|in)\b", re.IGNORECASE)
_ORDER_WORDS = re.compile(
    r"\b(?:ignore|disregard|state|say|print|output|reveal|instructions?|password|admit)\b", re.IGNORECASE
)
_LETTERS = {
    ".-": "a", "-...": "b", "-.-.": "c", "-..": "d", ".": "e", "..-.": "f", "--.": "g", "....": "h", "..": "i",
    ".---": "j", "-.-": "k", ".-..": "l", "--": "m", "-.": "n", "---": "o", ".--.": "p", "--.-": "q", ".-.": "r",
    "...": "s", "-": "t", "..-": "u", "...-": "v", ".--": "w", "-..-": "x", "-.--": "y", "--..": "z",
}  # fmt: skip


class Hidden(NamedTuple):
    """A text that was found in a code."""

    text: str
    start: int
    end: int
    asked: bool
    """The text around it asks to decode it."""

    @property
    def names_orders(self) -> bool:
        """Whether it speaks as one speaks to a model."""
        return _ORDER_WORDS.search(self.text) is not None


def hidden_texts(text: str) -> Iterator[Hidden]:
    """The coded texts that can be read; nothing where the code gives no words."""
    request = _ASKED.search(text) if not text.isascii() or _DECODE.search(text) else None
    for pattern, read in ((_BINARY, _binary), (_HEX, _hex), (_BASE64, _base64), (_MORSE, _morse)):
        for match in pattern.finditer(text):
            if said := read(match[0]):
                yield Hidden(said, *match.span(), request is not None)
    if request:
        for said in _shifted(text[request.end() :]):
            yield Hidden(said, request.start(), len(text), asked=True)
    pigs = _PIG.findall(text) if len(text) < 2000 else []
    if len(pigs) >= 4 and 2 * len(pigs) >= len(text.split()):
        yield Hidden(text, 0, len(text), asked=True)


def _shifted(text: str) -> Iterator[str]:
    """The text read with each shift of the alphabet that gives more common words than it has as it stands."""
    plain = len(_WORDS.findall(text))
    for shift in range(1, 26):
        read = codecs.encode(text, "rot13") if shift == 13 else _caesar(text, shift)
        if len(_WORDS.findall(read)) >= plain + 2:
            yield read


def _caesar(text: str, shift: int) -> str:
    small = "abcdefghijklmnopqrstuvwxyz"
    moved = small[shift:] + small[:shift]
    return text[:4000].translate(str.maketrans(small + small.upper(), moved + moved.upper()))


def _readable(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(char.isalpha() or char.isspace() for char in text)
    return text if " " in text.strip() and letters >= 0.8 * len(text) and text.isprintable() else ""


def _binary(found: str) -> str:
    return _readable(bytes(int(byte, 2) for byte in re.findall(r"[01]{8}", found)))


def _hex(found: str) -> str:
    return _readable(bytes.fromhex(re.sub(r"[^0-9A-Fa-f]", "", found)))


def _base64(found: str) -> str:
    try:
        return _readable(base64.b64decode(found, validate=True))
    except binascii.Error:
        return ""


def _morse(found: str) -> str:
    words = (word.split() for word in found.replace("–", "-").replace("·", ".").split("/"))
    letters = [[_LETTERS.get(letter, "?") for letter in word] for word in words]
    flat = [letter for word in letters for letter in word]
    return " ".join("".join(word) for word in letters) if flat and flat.count("?") * 5 <= len(flat) else ""
