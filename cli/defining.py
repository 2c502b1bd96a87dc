"""`check` and `graph`: what a graph is, before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InvalidInput
from .failures import DONE, FAILED
from .shapes import finding_json
from .targets import load_target, parse_target
from .terminal import make_console
from .text import clean, one_line, plural, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ..graphs import Finding

_STYLES = {"error": "bold red", "warning": "yellow"}


def check(target_text: str, *, as_json: bool) -> int:
    """Print what is wrong with a graph; the status is 1 when something is an error."""
    findings = findings_of(target_text)
    if as_json:
        print_json([finding_json(finding) for finding in findings])
    else:
        _print_findings(make_console(), findings)
    return FAILED if any(finding.severity == "error" for finding in findings) else DONE


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
        make_console().print(f"Drawn to {svg}", markup=False)
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
