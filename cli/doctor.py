"""`doctor`: what of a store is damaged, and the rest of it as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from .failures import DONE, FAILED
from .opening import store_url
from .terminal import make_console
from .text import one_line, plural, print_json

if TYPE_CHECKING:
    from ..runs.store.examining import Examined

SHOWN = 20
"""Problems of each part that are shown; `--json` gives all."""


def doctor(export: Path | None, *, db: str | None, as_json: bool) -> int:
    """Examine a copy of the store; the exit status says whether it is whole."""
    from ..runs.store.examining import examine

    path = store_file(db)
    found = examine(path)
    if export is not None:
        _export(found, export)
    if as_json:
        print_json(_json(found))
    else:
        _show(found, export)
    return DONE if found.whole else FAILED


def store_file(db: str | None) -> Path:
    """The file of the store that is meant.

    Raises:
        InvalidInput: There is none.
    """
    from ..runs.store import Store

    url = store_url(db)
    path = Store(url).path if url is not None else None
    if path is None or not path.is_file():
        raise InvalidInput("--db", "there is no store file to look at.")
    return path


def _export(found: Examined, file: Path) -> None:
    try:
        with file.open("x", encoding="utf-8", errors="backslashreplace") as out:
            for line in found.lines:
                out.write(json.dumps(line, ensure_ascii=False, default=_text) + "\n")
    except FileExistsError:
        raise InvalidInput("--export", f"{str(file)!r} is there already. Name a new file.") from None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _json(found: Examined) -> dict[str, Any]:
    return {
        "store": found.store,
        "whole": found.whole,
        "runs": found.runs,
        "problems": found.problems,
        "damaged": [{"run_id": run_id, "problems": problems} for run_id, problems in found.damaged.items()],
    }


def _show(found: Examined, export: Path | None) -> None:
    console = make_console()
    console.print(f"{found.store}: {plural(found.runs, 'whole run')}.")
    for problem in found.problems[:SHOWN]:
        console.print(one_line(problem), style="red")
    if len(found.problems) > SHOWN:
        console.print(f"and {len(found.problems) - SHOWN} more; --json shows all.", style="red")
    for run_id, problems in list(found.damaged.items())[:SHOWN]:
        console.print(f"{run_id} is damaged: {one_line(problems[0])}", style="red")
    if len(found.damaged) > SHOWN:
        console.print(f"and {plural(len(found.damaged) - SHOWN, 'run')} more; --json shows all.", style="red")
    if export is not None:
        console.print(f"{plural(len(found.lines), 'whole record')} in {export}.")
    console.print("Nothing is damaged." if found.whole else "The store is damaged; the file was not changed.")
