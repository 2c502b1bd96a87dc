"""Valid objects from a small model: 40 prompts and five schemas, with the constraint and without.

    python -m benchmarks.structured [--model embedded] [--prompts 40] [--without 40] [--parallel 2] [--json FILE]

Constrained is what `complete(output=…)` gives. Beside it stands the first answer of the same model to the same
prompt with the schema written into it, read as kindly as Collegium reads any text. An answer that was cut, at the
token limit or at a limit put on a string or list, counts as a failure in both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from collegium.core.errors import CollegiumError
from collegium.core.messages import Message, user
from collegium.models import Model, Params, close_shared, shared_model
from collegium.models.schemas import schema_of

TOPICS = (
    *("a lighthouse", "sourdough bread", "the river Nile", "chess", "a bicycle repair shop", "the moon", "bees"),
    *("a train timetable", "green tea", "volcanoes", "a public library", "the number seven", "glass", "opera"),
    *("a weather balloon", "salt", "migrating storks", "a vaccine", "the printing press", "rubber", "a beaver dam"),
    *("jazz", "a solar eclipse", "wool", "the human heart", "a tax form", "concrete", "a carnival", "ferries"),
    *("a night market", "snow", "the abacus", "a lost suitcase", "coral reefs", "a power cut", "maple syrup"),
    *("postage stamps", "an earthquake drill", "the violin", "a school garden"),
)
PARAMS = Params(temperature=0.0, seed=7)


class Place(BaseModel):
    name: str
    country: str


class Maker(BaseModel):
    name: str
    home: Place


class Nested(BaseModel):
    subject: str
    maker: Maker
    places: list[Place]


class Number(BaseModel):
    kind: Literal["number"]
    value: float
    unit: str


class Words(BaseModel):
    kind: Literal["words"]
    text: str


class Union(BaseModel):
    question: str
    answer: Number | Words
    source: str | None


class Enum(BaseModel):
    category: Literal["nature", "food", "craft", "science", "travel", "art", "other"]
    size: Literal["small", "medium", "large"]
    alive: bool


class Listed(BaseModel):
    facts: list[str]
    numbers: list[int]


class Long(BaseModel):
    title: str
    summary: str
    history: str
    uses: list[str]
    related: list[str]
    oldest_year: int
    newest_year: int
    colour: Literal["red", "green", "blue", "white", "black", "none"]
    weight_kg: float
    length_m: float
    is_edible: bool
    is_dangerous: bool
    needs_power: bool
    place: Place
    maker: Maker | None
    first_step: str
    second_step: str
    third_step: str
    warning: str | None
    rating: int


SCHEMAS: dict[str, type[BaseModel]] = {
    "nested": Nested,
    "union": Union,
    "enum": Enum,
    "list": Listed,
    "long": Long,
}


@dataclass(slots=True)
class Tally:
    """What came of one schema."""

    asked: int = 0
    valid: int = 0
    cut: int = 0
    plain_asked: int = 0
    plain_valid: int = 0
    """Without the constraint."""
    model_calls: int = 0
    seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter[str])


def prompt(topic: str) -> Message:
    """The same words for every schema."""
    return user(f"Write a short record about {topic}.")


async def constrained(llm: Model, topic: str, schema: type[BaseModel], tally: Tally) -> None:
    """One answer as `complete(output=…)` gives it."""
    started = time.perf_counter()
    tally.asked += 1
    try:
        done = await llm.complete([prompt(topic)], output=schema, params=PARAMS)
    except CollegiumError as error:
        tally.failures[error.code] += 1
    else:
        cut = done.finish_reason == "length"
        tally.cut += cut
        tally.valid += not cut and schema.model_validate(done.output.model_dump()) == done.output
        tally.model_calls += done.usage.model_calls
    tally.seconds += time.perf_counter() - started


async def unconstrained(llm: Model, topic: str, schema: type[BaseModel], tally: Tally) -> None:
    """The first answer to a prompt that holds the schema."""
    wire = schema_of(schema)
    text = (
        f"{prompt(topic).content}\n\nAnswer with nothing but JSON that fits this JSON Schema:\n{json.dumps(wire.wire)}"
    )
    tally.plain_asked += 1
    try:
        done = await llm.complete([user(text)], params=Params(temperature=0.0, seed=7, max_tokens=700))
        wire.parse(done.text)
    except (CollegiumError, ValidationError):
        return
    tally.plain_valid += done.finish_reason != "length"


async def measure(spec: str, schemas: Sequence[str], prompts: int, without: int, parallel: int) -> dict[str, Tally]:
    """Each of these schemas with every prompt, both ways."""
    llm, free = shared_model(spec), asyncio.Semaphore(parallel)
    tallies = {name: Tally() for name in schemas}

    async def one(topic: str, name: str) -> None:
        async with free:
            await constrained(llm, topic, SCHEMAS[name], tallies[name])
            if topic in TOPICS[:without]:
                await unconstrained(llm, topic, SCHEMAS[name], tallies[name])

    try:
        await llm.capabilities()
        for name in schemas:
            await asyncio.gather(*(one(topic, name) for topic in TOPICS[:prompts]))
            print(line(name, tallies[name]), flush=True)
    finally:
        await close_shared()
    return tallies


def line(name: str, tally: Tally) -> str:
    """One row of the table."""
    why = ", ".join(f"{count} {code}" for code, count in tally.failures.items())
    return (
        f"{name:8} {tally.valid:3}/{tally.asked} valid  {tally.cut:3} cut"
        f"  {tally.plain_valid:3}/{tally.plain_asked} without"
        f"  {tally.model_calls:4} calls  {tally.seconds / max(1, tally.asked):5.1f} s each  {why}"
    )


def main() -> None:
    """Measure and print; the exit status is 1 when an answer is not valid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--schema", action="append", choices=list(SCHEMAS), help="only this one; may be repeated")
    parser.add_argument("--prompts", type=int, default=len(TOPICS))
    parser.add_argument("--without", type=int, default=len(TOPICS), help="prompts also asked without the constraint")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tallies = asyncio.run(
        measure(options.model, options.schema or list(SCHEMAS), options.prompts, options.without, options.parallel)
    )
    if options.json:
        found: dict[str, Any] = {
            name: {**asdict(replace(tally, failures=Counter())), "failures": dict(tally.failures)}
            for name, tally in tallies.items()
        }
        options.json.write_text(json.dumps(found, indent=2))
    raise SystemExit(any(tally.valid < tally.asked for tally in tallies.values()))


if __name__ == "__main__":
    main()
