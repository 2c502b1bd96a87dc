"""How much of each prompt a server has read before, by the way in which a long conversation is cut.

    python -m benchmarks.prefix [--model embedded] [--turns 40] [--window 1500] [--json FILE]

A conversation of tool calls and results grows turn by turn past the window. Three ways to make it fit are compared
on one server, each in a conversation of its own: `History` as Collegium cuts, a window that slides by one turn at a
time, and `History` under instructions that begin with the time of day, as many prompts do. Printed is the share of
all prompt tokens that the server says it took from its cache, and the time to read the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from collegium.core.messages import Message, ToolCall, assistant, system, user
from collegium.models import History, Model, Params, close_shared, estimate_prompt, shared_model

_WORDS = "the clerk writes each parcel into the ledger with its weight its owner and the shelf on which it lies".split()

Fit = Callable[[Sequence[Message], int], Awaitable[Sequence[Message]]]


@dataclass
class Row:
    way: str
    prompts: int = 0
    tokens: int = 0
    cached: int = 0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        return self.cached / self.tokens if self.tokens else 0.0


def conversation(name: str, turns: int) -> list[Message]:
    opening = [system(f"You look after the ledger of {name}."), user("Which parcel is the heaviest?")]
    return opening + [message for turn in range(turns) for message in _turn(name, turn)]


def _turn(name: str, turn: int) -> list[Message]:
    said = " ".join(f"{word} {turn * 31 % 97}" if place % 5 == 0 else word for place, word in enumerate(_WORDS))
    call = ToolCall(f"c{turn}", "page_of", json.dumps({"page": turn}))
    return [assistant("", [call]), Message("tool", f"{name}, page {turn}: {said}", tool_call_id=f"c{turn}")]


def as_text(messages: Sequence[Message]) -> list[Message]:
    """Turns that any template takes."""
    return [
        user(f"Result: {m.content}")
        if m.role == "tool"
        else assistant(m.content or "Next page.")
        if m.tool_calls
        else m
        for m in messages
    ]


def sliding(window: int) -> Fit:
    async def fit(talk: Sequence[Message], _: int) -> Sequence[Message]:
        kept = list(talk[2:])
        while estimate_prompt([*talk[:2], *kept]) > window * 2 // 3 / 1.25:
            kept = kept[2:]
        return [*talk[:2], *kept]

    return fit


def in_pieces(window: int, model: Model, *, timed: bool = False) -> Fit:
    history = History(window_tokens=window, answer_tokens=window // 3)

    async def fit(talk: Sequence[Message], turn: int) -> Sequence[Message]:
        fitted = list(await history.fitted(talk, model))
        if timed:
            fitted[0] = system(f"It is 10:{turn % 60:02}. {fitted[0].content}")
        return fitted

    return fit


async def measured(model: Model, way: str, fit: Fit, turns: int) -> Row:
    row = Row(way)
    for turn in range(1, turns + 1):
        prompt = as_text(await fit(conversation(way, turn), turn))
        started = time.perf_counter()
        done = await model.complete(prompt, params=Params(max_tokens=1, temperature=0.0))
        row.seconds += time.perf_counter() - started
        row.prompts, row.tokens = row.prompts + 1, row.tokens + done.usage.input_tokens
        row.cached += done.usage.cached_tokens
    return row


async def main(options: argparse.Namespace) -> list[Row]:
    model = shared_model(options.model)
    ways = {
        "cut in pieces (History)": in_pieces(options.window, model),
        "sliding window": sliding(options.window),
        "History, the time first": in_pieces(options.window, model, timed=True),
    }
    try:
        await model.complete([user("Hello")], params=Params(max_tokens=1))
        return [await measured(model, way, fit, options.turns) for way, fit in ways.items()]
    finally:
        await close_shared()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--window", type=int, default=1500, help="tokens")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    rows = asyncio.run(main(given))
    print(f"{'way':26} prompts  tokens  from the cache  seconds")
    for row in rows:
        print(f"{row.way:26} {row.prompts:7} {row.tokens:7} {row.share:14.0%} {row.seconds:9.1f}")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) | {"share": row.share} for row in rows], indent=1), "utf-8")
