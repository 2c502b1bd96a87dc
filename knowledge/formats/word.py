"""The text of a DOCX, by mammoth: it maps Word's styles to headings, lists and tables of HTML."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from ..html import html_to_text
from ..unreadable import Unreadable
from ._extra import needed

MAX_UNPACKED = 200_000_000
"""Bytes of XML in a DOCX: a few packed kilobytes can unpack to gigabytes."""


def word_text(source: str, data: bytes) -> str:
    """Headings, paragraphs, lists, tables and notes, in the shape of Markdown; pictures are left out.

    Raises:
        Unreadable: It is damaged or unpacks to too much; or the extra is missing.
    """
    mammoth = needed("mammoth", source, "DOCX")
    _check_size(source, data)
    try:
        page = mammoth.convert_to_html(BytesIO(data), convert_image=_nothing, external_file_access=False).value
    except Exception as error:  # mammoth lets through what its parts raise: zipfile, expat, KeyError, its own
        raise Unreadable(source, f"it is damaged, or is no DOCX ({type(error).__name__}).") from error
    return html_to_text(str(page))[1]


def _check_size(source: str, data: bytes) -> None:
    try:
        with ZipFile(BytesIO(data)) as parts:
            size = sum(part.file_size for part in parts.infolist() if part.filename.endswith((".xml", ".rels")))
    except (BadZipFile, ValueError, NotImplementedError) as error:  # the last: zipfile knows no such packing
        raise Unreadable(source, "it is damaged, or is no DOCX.") from error
    if size > MAX_UNPACKED:
        raise Unreadable(source, f"it unpacks to {size} bytes; at most {MAX_UNPACKED} are read.")


def _nothing(image: Any) -> list[Any]:
    return []
