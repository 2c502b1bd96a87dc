"""From files to documents: which files are read, how they are decoded, and what their text is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..core.errors import KnowledgeError
from .html import html_to_text

MAX_BYTES = 20_000_000
HTML = frozenset({".html", ".htm", ".xhtml"})
CODE = frozenset(
    """.py .pyi .js .ts .tsx .jsx .java .kt .go .rs .c .h .cc .cpp .hpp .cs .rb .php .sh .bash .sql .lua .r .jl
    .swift .scala .toml .ini .cfg .yaml .yml .json .jsonl .css .scss""".split()
)
TEXT = frozenset({".txt", ".md", ".markdown", ".rst", ".text", ".log", ".csv", ".tsv", ".tex", ".adoc", ".org"})
NAMES = frozenset({"METADATA", "PKG-INFO", "README", "LICENSE", "LICENCE", "COPYING", "CHANGELOG", "NEWS", "AUTHORS"})
"""File names without a suffix that are text."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NAME_FIELD = re.compile(r"^Name: *(\S.*)$", re.M)
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Document:
    """One source as it was read."""

    source: str
    """Path of the file, as text."""
    text: str
    """What spans count in: the file decoded, with line ends as `\\n`; for HTML the text of the page."""
    title: str
    """What the document is called, for finding it; may be empty."""
    code: bool = False
    """Whether it is source code or data, read line by line."""


class Unreadable(KnowledgeError):
    """One file that cannot be a source; an ingestion goes on without it."""

    code = "unreadable"


def find_files(path: Path) -> Iterator[Path]:
    """The file itself, or the readable files below a folder, sorted.

    Hidden files and folders, caches, and files of unknown kinds are passed over below a folder; a file
    that is named itself is taken whatever its name. Links to folders are not followed.

    Raises:
        KnowledgeError: There is nothing at `path`.
    """
    if path.is_file():
        yield path
    elif path.is_dir():
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if _wanted_folder(name))
            yield from (Path(folder, name) for name in sorted(files) if wanted(Path(name)))
    else:
        raise KnowledgeError(str(path), "there is no such file or folder.")


def wanted(path: Path) -> bool:
    """Whether a file's name says that it is text."""
    if path.name.startswith("."):
        return False
    return path.name in NAMES or path.suffix.lower() in TEXT | CODE | HTML


def file_digest(data: bytes) -> str:
    """What tells a changed file from an unchanged one."""
    return sha256(data).hexdigest()


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        Unreadable: It cannot be opened, or is larger than `MAX_BYTES`.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise Unreadable(str(path), f"it is {size} bytes; at most {MAX_BYTES} are read.")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(str(path), f"it cannot be read ({error.strerror or error}).") from error


def load(path: Path, data: bytes) -> Document:
    """The document in the bytes of a file.

    Raises:
        Unreadable: The bytes are not text, or there is no text in them.
    """
    text = decode(str(path), data)
    suffix = path.suffix.lower()
    title = ""
    if suffix in HTML:
        title, text = html_to_text(text)
    if not text.strip():
        raise Unreadable(str(path), "there is no text in it.")
    return Document(str(path), text, title or _title(path, text), suffix in CODE)


def decode(source: str, data: bytes) -> str:
    """The text: by its byte order mark, else UTF-8, else Latin-1; line ends become a line feed.

    Raises:
        Unreadable: It is binary, or is not what its byte order mark says.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    if encoding is None and b"\0" in data:
        raise Unreadable(source, "it is binary.")
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise Unreadable(source, f"it is not the {encoding} that it claims to be.") from error
        text = data.decode("latin-1")
        if _is_binary(text):
            raise Unreadable(source, "it is binary.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_binary(text: str) -> bool:
    controls = sum(1 for c in text[:4096] if c < " " and c not in "\t\n\r\f" or "\x7f" <= c < "\xa0")
    return controls > 0.05 * min(len(text), 4096)


def _title(path: Path, text: str) -> str:
    if path.name in ("METADATA", "PKG-INFO"):
        name = _NAME_FIELD.search(text)
        return name[1].strip() if name else ""
    words = re.sub(r"[-_.]+", " ", path.stem)
    return words if _WORD.search(words) else ""


def _wanted_folder(name: str) -> bool:
    return not name.startswith(".") and name not in ("__pycache__", "node_modules")


def distinct(paths: Iterable[Path]) -> list[Path]:
    """The paths made absolute, without repeats, in order."""
    return list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))
