"""From files to documents: each kind of file has a reader that gives its text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .decoding import decode
from .finding import CODE, HTML, MAIL, PDF, RECORDS, ROWS, WORD
from .unreadable import Unreadable

MAX_BYTES = 20_000_000
"""Of a file that is read as one text."""
MAX_CONVERTED = 100_000_000
"""Of a file whose text is a part of it: pictures make PDF and DOCX large."""

_NAME_FIELD = re.compile(r"^Name: *(\S.*)$", re.M)
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Document:
    """One source as it was read."""

    source: str
    """Path of the file, as text."""
    text: str
    """What spans count in: the file decoded, with line ends as `\\n`; for other kinds the text taken out of it."""
    title: str
    """What the document is called, for finding it; may be empty."""
    code: bool = False
    """Whether it is source code or data, read line by line."""
    pages: tuple[int, ...] = ()
    """Where each page begins in the text; empty when there are no pages."""
    records: tuple[int, ...] = ()
    """Where each row or record begins in the text; no passage crosses these places."""
    problem: str = ""
    """What of the file could not be read, when the rest could."""


def file_digest(data: bytes) -> str:
    """What tells a changed file from an unchanged one."""
    return sha256(data).hexdigest()


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        Unreadable: It cannot be opened, or is larger than files of its kind may be.
    """
    most = MAX_CONVERTED if path.suffix.lower() in PDF | WORD | MAIL | ROWS | RECORDS else MAX_BYTES
    try:
        if (size := path.stat().st_size) > most:
            raise Unreadable(str(path), f"it is {size} bytes; at most {most} are read.")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(str(path), f"it cannot be read ({error.strerror or error}).") from error


def load(path: Path, data: bytes) -> Document:
    """The document in the bytes of a file.

    Raises:
        Unreadable: The bytes are not what the name says, there is no text in them, or its kind needs an
            extra that is not installed.
    """
    suffix = path.suffix.lower()
    reader = next((read for suffixes, read in _READERS if suffix in suffixes), _plain)
    try:
        document = reader(path, data)
    except Unreadable:
        raise
    except Exception as error:  # a file must not stop an ingestion, and parsers raise what they meet
        raise Unreadable(str(path), f"it cannot be read ({type(error).__name__}).") from error
    if not document.text.strip():
        raise Unreadable(str(path), "there is no text in it.")
    return document


def title_of(path: Path, text: str = "") -> str:
    """What a file's own name calls it; empty when the name has no words."""
    if path.name in ("METADATA", "PKG-INFO"):
        name = _NAME_FIELD.search(text)
        return name[1].strip() if name else ""
    words = re.sub(r"[-_.]+", " ", path.stem)
    return words if _WORD.search(words) else ""


def _plain(path: Path, data: bytes) -> Document:
    text = decode(str(path), data)
    return Document(str(path), text, title_of(path, text), path.suffix.lower() in CODE)


def _page(path: Path, data: bytes) -> Document:
    from .html import html_to_text

    title, text = html_to_text(decode(str(path), data))
    return Document(str(path), text, title or title_of(path))


def _pdf(path: Path, data: bytes) -> Document:
    from .formats.pdf import pdf_text

    read = pdf_text(str(path), data)
    return Document(str(path), read.text, read.title or title_of(path), pages=read.pages, problem=read.problem)


def _word(path: Path, data: bytes) -> Document:
    from .formats.word import word_text

    return Document(str(path), word_text(str(path), data), title_of(path))


def _mail(path: Path, data: bytes) -> Document:
    from .formats.mail import mail_text

    title, text = mail_text(data)
    return Document(str(path), text, title or title_of(path))


def _rows(path: Path, data: bytes) -> Document:
    from .formats.records import rows_text

    read = rows_text(str(path), decode(str(path), data), tabs=path.suffix.lower() == ".tsv")
    return Document(str(path), read.text, title_of(path), records=read.starts, problem=read.problem)


def _records(path: Path, data: bytes) -> Document:
    from .formats.records import lines_text

    read = lines_text(str(path), decode(str(path), data))
    return Document(str(path), read.text, title_of(path), records=read.starts, problem=read.problem)


_READERS: tuple[tuple[frozenset[str], Callable[[Path, bytes], Document]], ...] = (
    (HTML, _page),
    (PDF, _pdf),
    (WORD, _word),
    (MAIL, _mail),
    (ROWS, _rows),
    (RECORDS, _records),
)
