"""`init`: a new project from the files in `template/`."""

from __future__ import annotations

import re
from pathlib import Path

from ..core.errors import InvalidInput
from .failures import DONE
from .terminal import make_console
from .text import print_json

_TEMPLATE = Path(__file__).parent / "template"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def init(folder: Path, *, as_json: bool) -> int:
    """Make the folder and fill it; nothing that exists is overwritten."""
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise InvalidInput("NAME", f"{name!r} is not a project name; use letters, digits, '-' and '_'.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput("NAME", f"{folder} exists and is not an empty folder.")
    made = [_copy(file, folder, name) for file in sorted(_TEMPLATE.rglob("*.txt"))]
    if as_json:
        print_json({"folder": str(folder), "files": [str(file.relative_to(folder)) for file in made]})
        return DONE
    console = make_console()
    console.print(f"Made {folder} with {', '.join(str(file.relative_to(folder)) for file in made)}.")
    console.print(f"Next: cd {folder} && collegium check graph.py && pytest")
    return DONE


def _copy(source: Path, folder: Path, name: str) -> Path:
    # The template's files end in .txt, so that no tool of this project takes them for its own source.
    file = folder / source.relative_to(_TEMPLATE).with_suffix("")
    text = source.read_text(encoding="utf-8").replace("PROJECT", name.replace("-", "_"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("NAME", f"{file}: {error.strerror}.") from error
    return file
