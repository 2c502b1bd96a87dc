"""From bytes to text: by what they declare, else UTF-8, else what charset-normalizer finds."""

from __future__ import annotations

from collections.abc import Sequence

from .unreadable import Unreadable

SAMPLE = 100_000
"""Bytes that are looked at to find an encoding: charset-normalizer takes 0.1 s for them."""
STRAY = 0.05
"""A file is UTF-8 with damage when so many of its characters beyond ASCII, at most, cannot be decoded."""

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LIKELY: Sequence[
    str
] = """cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 koi8_r shift_jis euc_jp gb18030 big5 euc_kr
    iso8859_2 iso8859_5 iso8859_7""".split()
"""What files are really written in. Among all encodings that Python knows, short texts are taken for odd ones."""


def decode(source: str, data: bytes) -> str:
    """The text, with line ends as a line feed.

    Raises:
        Unreadable: It is binary, or is not what its byte order mark says.
    """
    return _decoded(source, data).replace("\r\n", "\n").replace("\r", "\n")


def _decoded(source: str, data: bytes) -> str:
    marked = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    if marked is None and b"\0" in data:
        raise Unreadable(source, "it is binary.")
    try:
        return data.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked:
            raise Unreadable(source, f"it is not the {marked} that it claims to be.") from error
    text = _mostly_utf8(data) or data.decode(_found(data), errors="replace")
    if _is_binary(text):
        raise Unreadable(source, "it is binary.")
    return text


def _mostly_utf8(data: bytes) -> str | None:
    """The text where a few damaged bytes stand in UTF-8; each becomes U+FFFD."""
    text = data.decode("utf-8", errors="replace")
    beyond = sum(1 for c in text if c > "\x7f")
    return text if text.count("\ufffd") <= STRAY * beyond else None


def _found(data: bytes) -> str:
    from charset_normalizer import from_bytes  # loads slowly, and most files are UTF-8

    # cut at a line's end, as half a character would speak against its encoding
    sample = data if len(data) <= SAMPLE else data[: data.rfind(b"\n", 0, SAMPLE) + 1] or data[:SAMPLE]
    best = from_bytes(sample, cp_isolation=list(_LIKELY)).best()
    return best.encoding if best else "latin-1"


def _is_binary(text: str) -> bool:
    controls = sum(1 for c in text[:4096] if c < " " and c not in "\t\n\r\f" or "\x7f" <= c < "\xa0")
    return controls > 0.05 * min(len(text), 4096)
