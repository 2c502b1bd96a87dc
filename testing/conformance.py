"""What every model must keep, whatever its server does, and a table of what each server does.

    python -m collegium.testing.conformance                    servers as they are documented
    python -m collegium.testing.conformance vllm:name ollama:… servers of your own

`conform` runs the checks on one model; a broken one is a `NotConforming`. The cells say what the server
gave: a check that holds by a typed refusal holds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, Field

from ..core.errors import BackendError, UnsupportedParameter
from ..core.messages import Message, ToolCall, ToolSpec, assistant, user
from ..models import PROFILES, Capabilities, Completion, Model, Params, TextDelta, model
from ..models.resolving import NamedModel
from .providers import QUIRKS, ProviderServer

DOCUMENTED: Final = "<!-- conformance: servers as they are documented -->"
REAL: Final = "<!-- conformance: real models -->"
"""Lines of a page after which the tables stand."""
_SHORT: Final = Params(max_tokens=24)
_MOST_WORDS: Final = 60_000


class NotConforming(AssertionError):
    """A model broke the contract: the message says how."""


class Item(BaseModel):
    """A part of an order."""

    name: str = Field(max_length=30)
    count: int = Field(ge=1, le=99)


class Order(BaseModel):
    """What the structured check asks for: nested, a list, an enum, an optional part and a union."""

    items: list[Item] = Field(min_length=1, max_length=3)
    speed: Literal["slow", "fast"]
    note: str | None = Field(default=None, max_length=40)
    code: int | Literal["none"]


def _tool(name: str) -> ToolSpec:
    parameters = {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]}
    return {"name": name, "description": "Takes a time of day.", "parameters": parameters}


_TOOLS: Final = (_tool("set_alarm"), _tool("find_ferry"))


@dataclass(frozen=True, slots=True)
class Row:
    """One model's results."""

    name: str
    cells: Mapping[str, str] = field(default_factory=dict[str, str])
    """By column, in the order of the table."""


async def conform(model: Model) -> Row:
    """Run every check.

    Raises:
        NotConforming: A check does not hold.
    """
    found = await model.probe() if isinstance(model, NamedModel) else await model.capabilities()
    cells = {name: await check(model) for name, check in CHECKS.items()}
    return Row(model.spec, {**cells, **_seen(found)})


async def _text(model: Model) -> str:
    done = await model.complete([user("Say hello.")], params=_SHORT)
    _hold(bool(done.text or done.reasoning), "an answer came back empty")
    _hold(done.usage.input_tokens > 0 and done.usage.model_calls == 1, "the call was not counted")
    return "yes"


async def _stream(model: Model) -> str:
    events = [event async for event in model.stream([user("Say hello.")], params=_SHORT)]
    last = events[-1]
    _hold(isinstance(last, Completion), "a stream did not end with its completion")
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    _hold(isinstance(last, Completion) and said == last.text, "the deltas are not the text")
    return "yes"


async def _structured(model: Model) -> str:
    done = await model.complete([user("Two nails and one saw, fast.")], output=Order)
    _hold(type(done.output) is Order, "the object is of another type")
    return f"`{done.rung}`"


async def _called(model: Model) -> str:
    done = await _typed(model.complete([user("Use set_alarm: wake me at 06:30.")], tools=_TOOLS, params=_wide()))
    if done is None:
        return "refused"
    _hold(all(call.name in ("set_alarm", "find_ferry") for call in done.tool_calls), "an unknown tool is called")
    _hold(all("time" in call.parsed() for call in done.tool_calls), "a required argument is missing")
    return "yes" if done.tool_calls else "no"


async def _named(model: Model) -> str:
    asked = [user("Use set_alarm: wake me at 06:30.")]
    done = await _typed(model.complete(asked, tools=_TOOLS, tool_choice="find_ferry", params=_wide()))
    if done is None:
        return "refused"
    return "yes" if {call.name for call in done.tool_calls} == {"find_ferry"} else "no"


async def _result(model: Model) -> str:
    call = ToolCall("call_1", "set_alarm", '{"time": "06:30"}')
    turns = [user("Wake me."), assistant("", [call]), Message("tool", "It is set.", tool_call_id="call_1")]
    done = await _typed(model.complete(turns, tools=_TOOLS, params=_wide()))
    return "refused" if done is None else "yes"


async def _unknown_setting(model: Model) -> str:
    """A setting is taken or refused by its name; the server decides where the table does not know."""
    try:
        await model.complete([user("Say hello.")], params=Params(max_tokens=4, min_p=0.1))
    except UnsupportedParameter:
        return "refused"
    except BackendError:
        return "refused by the server"
    return "taken"


async def _overlong(model: Model) -> str:
    """A prompt over the window is refused; never is an answer given to a part of it."""
    window = (await model.capabilities()).context_tokens or 4096
    words = min(window + window // 2, _MOST_WORDS)
    done = await _typed(model.complete([user("Say yes. " + "apple " * words)], params=Params(max_tokens=1)))
    if done is None:
        return "refused"
    _hold(done.usage.input_tokens >= 0.8 * words, f"a prompt of {words} words was cut to {done.usage.input_tokens}")
    return "fits"


CHECKS: Final[Mapping[str, Callable[[Model], Awaitable[str]]]] = {
    "text": _text,
    "stream": _stream,
    "structured by": _structured,
    "tools": _called,
    "named tool": _named,
    "tool result": _result,
    "`min_p`": _unknown_setting,
    "over the window": _overlong,
}
_SEEN: Final = {
    "schema enforced": "schema_enforced",
    "tools beside a schema": "schema_with_tools",
    "`tool_choice` read": "tool_named",
    "two calls": "parallel_calls",
    "streamed calls": "stream_tools",
    "reasoning": "reasoning_field",
    "log-probs": "logprobs",
    "seed": "seed",
    "cuts at": "window_found",
    "counts tokens": "tokenizer",
}
COLUMNS: Final = (*CHECKS, *_SEEN, "window")


def _seen(found: Capabilities) -> dict[str, str]:
    words = {column: _word(getattr(found.behaviour, name)) for column, name in _SEEN.items()}
    return {**words, "window": _word(found.context_tokens)}


def _word(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"`{value}`"


def _wide() -> Params:
    return Params(max_tokens=100)


async def _typed(asked: Awaitable[Completion[None]]) -> Completion[None] | None:
    """The answer, or None for a refusal of our own tree; any other exception breaks the contract."""
    try:
        return await asked
    except BackendError:
        return None


def _hold(holds: bool, problem: str) -> None:
    if not holds:
        raise NotConforming(problem)


async def documented(provider: str) -> Row:
    """The row of a provider as it is documented to behave."""
    async with ProviderServer(provider) as server:
        party = model(f"{provider}:m@{server.url}")
        try:
            return Row(provider, (await conform(party)).cells)
        finally:
            await party.aclose()


async def measured(spec: str) -> Row:
    """The row of a real model."""
    party = model(spec)
    try:
        return await conform(party)
    finally:
        await party.aclose()


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: one column a server, since there are more checks than servers."""
    names = [f"`{row.name.partition('@')[0]}`" for row in rows]
    lines = [f"| what | {' | '.join(names)} |", f"| --- |{' --- |' * len(rows)}"]
    lines += [f"| {column} | {' | '.join(row.cells[column] for row in rows)} |" for column in COLUMNS]
    return "\n".join(lines)


def rewritten(page: str, made: str, mark: str) -> str:
    """A page with the table after a mark replaced.

    Args:
        page: Markdown.
        made: The new table.
        mark: A line of the page; the table stands after the blank line that follows it.
    """
    head, found, rest = page.partition(f"{mark}\n\n")
    return f"{head}{found}{made}\n\n{rest.partition(chr(10) * 2)[2]}" if found else page


def main() -> None:
    """Print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="models of your own; default: servers as documented")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the table in this page")
    options = parser.parse_args()
    specs: list[str] = options.specs
    for provider, quirks in QUIRKS.items():
        if quirks.wants_key and not specs:
            os.environ.setdefault(PROFILES[provider].key_env[0], "any")

    async def rows() -> list[Row]:
        return [await measured(spec) for spec in specs] or [await documented(provider) for provider in QUIRKS]

    made = table(asyncio.run(rows()))
    if options.write is None:
        print(made)
    else:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(rewritten(page, made, REAL if specs else DOCUMENTED), encoding="utf-8")


if __name__ == "__main__":
    main()
