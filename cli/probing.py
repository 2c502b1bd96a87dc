"""`models probe`: what a model and its server do, measured and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from .failures import DONE
from .terminal import make_console
from .text import one_line, print_json

if TYPE_CHECKING:
    from ..models import Capabilities

_ROWS: Final = (
    ("version", "version of the server"),
    ("schema_enforced", "a schema is enforced against the prompt"),
    ("schema_with_tools", "tools are called beside a schema"),
    ("tool_required", "tool_choice `required` is obeyed"),
    ("tool_named", "tool_choice with a name is obeyed"),
    ("parallel_calls", "two calls in one turn"),
    ("stream_tools", "calls come whole in a stream"),
    ("reasoning_field", "reasoning comes in"),
    ("window_reported", "window, as the server says"),
    ("window_found", "longer prompts are cut in silence at"),
    ("logprobs", "log-probabilities"),
    ("seed", "a seed repeats a text"),
    ("tokenizer", "counts the tokens of a text"),
)


def probe(spec: str, *, as_json: bool) -> int:
    """Measure a model afresh and show what was seen."""
    from ..core.errors import UnknownModel
    from ..models import model
    from ..models.resolving import NamedModel

    named = model(spec)
    if not isinstance(named, NamedModel):
        raise UnknownModel(spec, "only a model behind a spec can be probed.")
    console = make_console(error=True)
    with console.status(f"Asking {one_line(spec)} some twenty short questions …"):
        found = asyncio.run(_probed(named))
    if as_json:
        print_json({"spec": named.spec, **asdict(found)})
    else:
        _print(found)
    return DONE


async def _probed(named: Any) -> Capabilities:
    try:
        found: Capabilities = await named.probe()
        return found
    finally:
        await named.aclose()


def _print(found: Capabilities) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for label, value in _lines(found):
        table.add_row(label, one_line(value))
    make_console().print(table)


def _lines(found: Capabilities) -> Iterator[tuple[str, str]]:
    yield "level", found.level
    yield "structured output by", found.structured
    yield "tool calls", _word(found.tools)
    yield "window of a request", _word(found.context_tokens)
    for name, label in _ROWS:
        yield label, _word(getattr(found.behaviour, name))


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value in (None, "") else f"{value:,}" if isinstance(value, int) else str(value)
