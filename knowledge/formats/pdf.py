"""The text of a PDF, page by page, with its bookmarks as headings.

pypdfium2 was chosen: PDFium is the reader of Chrome, tested against hostile files for years, and takes some
milliseconds a page where readers in Python take a hundred.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ..unreadable import Unreadable
from ._extra import needed

_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])(?:-\n|[\ufffe\x02]\n?)(?=[a-zß-ÿ])")
"""A word that was broken at the end of a line; PDFium writes U+FFFE or U+0002 for a hyphen that it recognises."""
_NO_TITLE = re.compile(r"untitled|microsoft |.*\.(docx?|pptx?|xlsx?|indd|tex|dvi|qxd)$", re.I)
"""What programs write in the place of a title."""
_PDFIUM = Lock()
"""PDFium must not be called from two threads at once."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What a PDF says."""

    text: str
    pages: tuple[int, ...]
    """Where each page begins in the text."""
    title: str
    problem: str
    """Which pages could not be read."""


def pdf_text(source: str, data: bytes) -> Pages:
    """The pages' texts, with an empty line between them.

    Raises:
        Unreadable: It is damaged, locked, or holds pictures only; or the extra is missing.
    """
    library = needed("pypdfium2", source, "PDF")
    with _PDFIUM:
        try:
            document = library.PdfDocument(data)
        except library.PdfiumError as error:
            locked = "password" in str(error).lower()
            problem = "it is locked with a password." if locked else "it is damaged, or is no PDF."
            raise Unreadable(source, problem) from error
        try:
            return _read(source, library, document)
        finally:
            document.close()


def _read(source: str, library: Any, document: Any) -> Pages:
    headings = _headings(library, document)
    starts: list[int] = []
    parts: list[str] = []
    broken: list[int] = []
    at = 0
    for number in range(len(document)):
        try:
            raw = _page_text(document, number)
        except library.PdfiumError:
            raw = ""
            broken.append(number + 1)
        part = _with_headings(_cleaned(raw), headings.get(number, ()))
        starts.append(at)
        parts.append(f"{part}\n\n")
        at += len(parts[-1])
    if not any(part.strip() for part in parts) and not broken:
        raise Unreadable(source, "its pages are pictures; recognise their text (OCR) first.")
    problem = f"pages that cannot be read: {', '.join(map(str, broken))}." if broken else ""
    return Pages("".join(parts), tuple(starts), _title(document), problem)


def _title(document: Any) -> str:
    title = " ".join(str(document.get_metadata_value("Title") or "").split())
    return "" if _NO_TITLE.match(title) else title


def _page_text(document: Any, number: int) -> str:
    page = document.get_page(number)
    try:
        reader = page.get_textpage()
        try:
            return str(reader.get_text_range())
        finally:
            reader.close()
    finally:
        page.close()


def _cleaned(raw: str) -> str:
    text = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = _BROKEN_WORD.sub("", text)
    return "\n".join(line.strip() for line in text.replace("\ufffe", "-").split("\n")).strip("\n")


def _headings(library: Any, document: Any) -> Mapping[int, list[tuple[int, str]]]:
    """Level and title of the bookmarks of each page, in the document's order."""
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for mark in document.get_toc():
            place = mark.get_dest()
            page = None if place is None else place.get_index()
            title = " ".join(str(mark.get_title()).split())
            if page is not None and title:
                found.setdefault(page, []).append((_level(mark), title))
    except library.PdfiumError:
        return found  # bookmarks are a help, and the pages can be read without
    return found


def _level(mark: Any) -> int:
    return min(int(mark.level) + 1, 6)


def _with_headings(text: str, headings: list[tuple[int, str]] | tuple[()]) -> str:
    """The page with the lines that its bookmarks name made headings; a bookmark without a line is left out."""
    lines = text.split("\n")
    at = 0
    for level, title in headings:
        place = next((n for n in range(at, len(lines)) if _folded(lines[n]) == _folded(title)), None)
        if place is not None:
            lines[place] = f"\n{'#' * level} {lines[place]}\n"
            at = place + 1
    return "\n".join(lines).strip("\n")


def _folded(line: str) -> str:
    """A line as it is compared with a bookmark: letters and digits only, without a leading number."""
    return re.sub(r"[\W_]+", "", re.sub(r"^[\d.]+\s+", "", line.strip())).lower()
