"""Which files of a folder are read: the kinds that are known, less what ignore rules leave out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KnowledgeError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

PDF = frozenset({".pdf"})
WORD = frozenset({".docx"})
MAIL = frozenset({".eml"})
ROWS = frozenset({".csv", ".tsv"})
RECORDS = frozenset({".jsonl", ".ndjson"})
HTML = frozenset({".html", ".htm", ".xhtml"})
CODE = frozenset(
    """.py .pyi .js .ts .tsx .jsx .java .kt .go .rs .c .h .cc .cpp .hpp .cs .rb .php .sh .bash .sql .lua .r .jl
    .swift .scala .toml .ini .cfg .yaml .yml .json .css .scss""".split()
)
TEXT = frozenset({".txt", ".md", ".markdown", ".rst", ".text", ".log", ".tex", ".adoc", ".org"})
NAMES = frozenset({"METADATA", "PKG-INFO", "README", "LICENSE", "LICENCE", "COPYING", "CHANGELOG", "NEWS", "AUTHORS"})
"""File names without a suffix that are text."""
SUFFIXES = PDF | WORD | MAIL | ROWS | RECORDS | HTML | CODE | TEXT
"""The kinds of files that are read from a folder."""
IGNORE = (".gitignore", ".collegiumignore")
"""Files of rules, in gitignore's language; the later one may take back (`!name`) what the first leaves out."""

_Rules = list[tuple[str, "GitIgnoreSpec"]]
"""The folder that rules stand in, and the rules, outermost first."""


def find_files(path: Path) -> Iterator[Path]:
    """The file itself, or the readable files below a folder, sorted.

    Hidden files and folders, caches, files of unknown kinds and what the ignore rules in the folder (or a
    folder below it) name are passed over; a file that is named itself is taken whatever its name. Links to
    folders are not followed.

    Raises:
        KnowledgeError: There is nothing at `path`, or ignore rules cannot be read.
    """
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from _below(path)
    else:
        raise KnowledgeError(str(path), "there is no such file or folder.")


def wanted(path: Path) -> bool:
    """Whether a file's name says that it can be read."""
    if path.name.startswith("."):
        return False
    return path.name in NAMES or path.suffix.lower() in SUFFIXES


def distinct(paths: Iterable[Path]) -> list[Path]:
    """The paths made absolute, without repeats, in order."""
    return list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))


def _below(root: Path) -> Iterator[Path]:
    rules: dict[str, _Rules] = {}
    for folder, folders, files in os.walk(root):
        here = [*rules.get(os.path.dirname(folder), []), *_rules_in(folder, files)]
        rules[folder] = here
        folders[:] = sorted(name for name in folders if _wanted_folder(name) and _kept(f"{folder}/{name}/", here))
        for name in sorted(files):
            if wanted(Path(name)) and _kept(f"{folder}/{name}", here):
                yield Path(folder, name)


def _wanted_folder(name: str) -> bool:
    return not name.startswith(".") and name not in ("__pycache__", "node_modules")


def _rules_in(folder: str, files: list[str]) -> _Rules:
    found = [name for name in IGNORE if name in files]
    if not found:
        return []
    from pathspec import GitIgnoreSpec  # the maintained reading of gitignore's language, as git has it

    lines: list[str] = []
    for name in found:
        place = Path(folder, name)
        try:
            lines += place.read_text("utf-8", errors="replace").splitlines()
        except OSError as error:
            raise KnowledgeError(str(place), f"the rules cannot be read ({error.strerror or error}).") from error
    try:
        return [(folder, GitIgnoreSpec.from_lines(lines))]
    except ValueError as error:
        raise KnowledgeError(str(Path(folder, found[-1])), f"it holds a rule that is none ({error}).") from error


def _kept(path: str, rules: _Rules) -> bool:
    """Whether the innermost rules that speak of a path keep it; a folder's path ends in a slash."""
    for folder, spec in reversed(rules):
        result = spec.check_file(path[len(folder) :].lstrip("/"))
        if result.include is not None:
            return not result.include
    return True
