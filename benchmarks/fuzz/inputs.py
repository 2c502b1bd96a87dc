"""Input of a run: what is accepted comes back as it was, from the store too, and is shown without a raw control."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from collegium.core.errors import InvalidInput
from collegium.runs import Runner

from .corpus import objects, texts, values, whole
from .graphs import FIELDS, Order, keeping
from .judging import Door, Outcome, judged_command


def door(folder: Path) -> Door:
    """One Runner on a file; every twentieth run is looked at from the command line."""
    loop = asyncio.Runner()
    url = f"sqlite:///{folder / 'input.db'}"
    runner = Runner(url, graphs=[keeping()])
    loop.run(runner.open())
    seen = 0

    def attempt(example: tuple[Any, list[str], dict[str, Any]]) -> Outcome:
        nonlocal seen
        given, tags, metadata = whole(example[0]), example[1], example[2]
        try:
            run = loop.run(_start(runner, given, tags, metadata))
        except InvalidInput as error:
            assert error.field or "" in given, repr(error)
            return "refused"
        _check_same(given, run.state)
        seen += 1
        if seen % 20 == 1 and not _is_large(example[0]):
            for words in (["show", run.run_id], ["show", run.run_id, "--json"], ["runs", "--limit", "3"]):
                judged_command([*words, "--db", url], terminal=seen % 40 == 1)
        return "accepted"

    def close() -> None:
        loop.run(runner.close())
        loop.close()

    given = st.one_of(objects(*FIELDS), fitting(), fitting(), values())
    labels = st.lists(texts(), max_size=2)
    return Door("input", st.tuples(given, labels, st.dictionaries(texts(), values(), max_size=2)), attempt, close)


def fitting() -> st.SearchStrategy[dict[str, Any]]:
    """Input that the types allow, odd as its texts are."""
    return st.fixed_dictionaries(
        {"text": texts()}, optional={"words": st.lists(texts(), max_size=3), "extra": st.dictionaries(texts(), texts())}
    )


async def _start(runner: Runner, given: Any, tags: list[str], metadata: dict[str, Any]) -> Any:
    run = await runner.start("keeping", given, tags=tags, metadata=metadata)
    done = await run.wait(timeout_s=60)
    assert done.status == "done", done.error
    return await runner.get(run.run_id)


def _check_same(given: Any, state: Order) -> None:
    """Nothing of an accepted input was lost or changed on its way through the store."""
    wanted = Order.model_validate(given)
    assert _plain(state.model_dump()) == _plain(wanted.model_dump())


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # what a checkpoint makes of half of a surrogate pair
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _is_large(given: Any) -> bool:
    return "<" in repr(given)[:1] or any(type(part).__name__ == "Huge" for part in _parts(given))


def _parts(given: Any) -> list[Any]:
    return list(given.values()) if isinstance(given, dict) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
