"""`eval guard`: what a detector flags, against texts that are marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from ..core.errors import InvalidInput
from ..evals import Interval, read_rows
from ..evals.guards import Flagged, Located, flagged, located
from ..guardrails import Finder, Injection, Jailbreak, PersonalData, Secrets
from ..guardrails.personal import Kind
from .failures import DONE
from .terminal import make_console
from .text import plural, print_json

GUARDS: Mapping[str, tuple[Callable[[], Finder], tuple[str, ...]]] = {
    "injection": (Injection, ("injection",)),
    "jailbreak": (Jailbreak, ("jailbreak",)),
    "pii": (PersonalData, get_args(Kind)),
    "secrets": (Secrets, ("secret",)),
}
"""Name to the detector and the kinds that it finds."""


def guard(name: str, data: Path, text_field: str | None, *, as_json: bool) -> int:
    """Measure one detector."""
    if name not in GUARDS:
        raise InvalidInput("name", f"there is no guard {name!r}; there are {', '.join(GUARDS)}.")
    make, kinds = GUARDS[name]
    finder, rows = make(), read_rows(data)
    for warm_up in ("call 020 7946 0958", "the password is Tr0ub4dor-and-4-horses"):
        list(finder(warm_up))  # tables that are read once do not count as cost
    if all("spans" in row for row in rows):
        _show(name, located(finder, rows, kinds, text_field), as_json=as_json)
    else:
        _show(name, flagged(finder, rows, text_field), as_json=as_json)
    return DONE


def _show(name: str, came: Flagged | Located, *, as_json: bool) -> None:
    figures = _flagged(came) if isinstance(came, Flagged) else _located(came)
    if as_json:
        shown: dict[str, Any] = {label: interval.rounded() for label, interval in figures.items()}
        more = {} if isinstance(came, Flagged) else {"not_looked_for": dict(came.ignored)}
        print_json({"guard": name, "rows": came.rows, **shown, **more, "ms_per_1000": round(came.ms_per_1000, 3)})
        return
    console = make_console()
    width = max(map(len, figures), default=0)
    for label, interval in figures.items():
        console.print(f"{label:<{width}}  {interval}")
    if isinstance(came, Located) and came.ignored:
        others = ", ".join(f"{kind} {count}" for kind, count in came.ignored.items())
        console.print(f"Marked, but not looked for: {others}.", style="dim")
    console.print(f"{plural(came.rows, 'text')}; {came.ms_per_1000:.2f} ms per 1,000 characters.", style="dim")


def _flagged(came: Flagged) -> dict[str, Interval]:
    shown = {"recall" if kind == "all" else f"recall {kind}": rate for kind, rate in came.attacks.items()}
    return shown if came.clean is None else {**shown, "false alarms": came.clean}


def _located(came: Located) -> dict[str, Interval]:
    shown: dict[str, Interval] = {}
    for kind in sorted(came.recall.keys() | came.precision.keys()):
        for figure, rates in (("recall", came.recall), ("precision", came.precision)):
            if kind in rates:
                shown[f"{kind} {figure}"] = rates[kind]
    return shown
