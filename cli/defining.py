"""`check` and `graph`: what a graph is, before it runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InvalidInput
from .failures import DONE, FAILED
from .shapes import finding_json, prospect_json
from .targets import load_target, parse_target
from .terminal import make_console
from .text import clean, one_line, plural, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ..graphs import Finding
    from ..runs.against import Prospect

_WAYS_OUT = "Undo the change, add a migration, or keep the old version beside the new one."

_STYLES = {"error": "bold red", "warning": "yellow"}


def check(target_text: str, *, against: str | None = None, as_json: bool) -> int:
    """Print what is wrong with a graph, and what it would strand; the status is 1 when something is an error."""
    findings = findings_of(target_text)
    broken = any(finding.severity == "error" for finding in findings)
    found = _prospects(target_text, against) if against is not None and not broken else []
    findings += [_stranded(prospect) for prospect in found if prospect.outcome == "stranded"]
    shown = [finding_json(finding) for finding in findings]
    if as_json:
        print_json(shown if against is None else {"findings": shown, "runs": [prospect_json(one) for one in found]})
    else:
        _print_findings(make_console(), findings)
        if against is not None and not broken:
            make_console().print(_outlook(found))
    return FAILED if any(finding.severity == "error" for finding in findings) else DONE


def _prospects(target_text: str, against: str) -> list[Prospect]:
    from ..runs.against import prospects
    from ..runs.store import Store

    url = against if "://" in against else f"sqlite:///{Path(against).absolute()}"
    store = Store(url)
    if store.path is None or not store.path.is_file():
        raise InvalidInput("--against", f"there is no store at {against}.")
    return asyncio.run(prospects(store, load_target(parse_target(target_text))))


def _stranded(prospect: Prospect) -> Finding:
    from ..graphs import Finding

    message = (
        f"Run {prospect.run_id} ({prospect.status}, version {prospect.version}) could not go on: {prospect.reason}."
    )
    return Finding("stranded_run", "error", None, None, message.replace("..", "."), _WAYS_OUT)


def _outlook(found: Sequence[Prospect]) -> str:
    count = Counter(prospect.outcome for prospect in found)
    return f"{plural(len(found), 'run')}: {count['goes_on']} would go on, {count['migrated']} be migrated, " + (
        f"{count['stranded']} be stranded."
    )


def findings_of(target_text: str) -> list[Finding]:
    """All findings of a target, also those that end the building of a graph when it is run."""
    from ..graphs import check as check_graph
    from ..graphs import collecting

    with collecting():
        graph = load_target(parse_target(target_text))
    return check_graph(graph)


def draw(target_text: str, *, mermaid: bool, svg: Path | None, as_json: bool) -> int:
    """Draw a graph in the terminal, as mermaid, or as a picture in a file."""
    from ..graphs import draw as drawing

    graph = load_target(parse_target(target_text))
    if as_json:
        print_json({"mermaid": drawing.mermaid(graph), "text": drawing.text(graph)})
    elif svg:
        _write(svg, drawing.svg(graph))
        make_console().print(f"Drawn to {svg}")
    else:
        made = drawing.mermaid(graph) if mermaid else drawing.text(graph)
        print(clean(made))
    return DONE


def _write(file: Path, content: str) -> None:
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--svg", f"{file}: {error.strerror}.") from error


def _print_findings(console: Console, findings: Sequence[Finding]) -> None:
    from rich.text import Text

    for finding in findings:
        place = ".".join(part for part in (finding.node, finding.field) if part)
        console.print(
            Text.assemble(
                (finding.severity, _STYLES[finding.severity]),
                f"  {finding.code}",
                (f"  {one_line(place)}" if place else "", "bold"),
                f"\n  {one_line(finding.message)}",
                (f"\n  {one_line(finding.fix)}" if finding.fix else "", "dim"),
            )
        )
    errors = sum(finding.severity == "error" for finding in findings)
    console.print(_summary(errors, len(findings) - errors), style="red" if errors else "green")


def _summary(errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return "No findings."
    return f"{plural(errors, 'error')}, {plural(warnings, 'warning')}."
