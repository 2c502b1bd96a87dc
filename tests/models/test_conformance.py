"""One suite for every kind of server: as documented, the embedded model, and a real llama.cpp server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collegium.models import Completion, pull_sync
from collegium.models.backend import Call
from collegium.models.catalogue import entry
from collegium.models.embedded.process import ServerProcess
from collegium.testing.conformance import (
    COLUMNS,
    DOCUMENTED,
    REAL,
    Item,
    NotConforming,
    Order,
    Row,
    conform,
    documented,
    measured,
    rewritten,
    table,
)
from collegium.testing.providers import QUIRKS
from collegium.testing.scripted import FunctionModel, ModelCall

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def column(mark: str, name: str) -> dict[str, str]:
    """One server's cells in the page's table."""
    head, _, *lines = PAGE.read_text("utf-8").partition(f"{mark}\n\n")[2].partition("\n\n")[0].splitlines()
    place = [cell.strip() for cell in head.split("|")].index(f"`{name}`")
    return {cells[1].strip(): cells[place].strip() for cells in (line.split("|") for line in lines)}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "JAN_API_KEY"):
        monkeypatch.setenv(name, "k")


@pytest.mark.parametrize("provider", QUIRKS)
async def test_a_server_as_documented_keeps_the_contract_and_its_column(provider: str) -> None:
    assert column(DOCUMENTED, provider) == (await documented(provider)).cells, (
        "python -m collegium.testing.conformance --write docs/models.md"
    )


@pytest.fixture
def llamacpp(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The spec of a real llama.cpp server with the smallest model, reached as any other server is."""
    pytest.importorskip("xllamacpp")
    weights = entry("smollm2")
    server = ServerProcess(pull_sync("smollm2") / weights.files[0].name, "smollm2", weights.context_tokens)
    address = server.address()
    monkeypatch.setenv("LLAMACPP_API_KEY", address.key)
    yield f"llamacpp:smollm2@{address.url}"
    server.stop()


SURE = ("text", "stream", "structured by", "over the window", "schema enforced", "log-probs", "counts tokens", "window")
"""Cells that do not hang on what so small a model happens to say."""


@pytest.mark.embedded
async def test_a_real_llamacpp_server_keeps_the_contract_and_its_column(llamacpp: str) -> None:
    cells = (await measured(llamacpp)).cells
    known = column(REAL, "llamacpp:smollm2")
    assert {name: cells[name] for name in SURE} == {name: known[name] for name in SURE}


@pytest.mark.embedded
async def test_the_embedded_model_keeps_the_contract_and_its_column() -> None:
    pytest.importorskip("xllamacpp")
    pull_sync("smollm2")
    cells = (await measured("embedded")).cells
    known = column(REAL, "embedded")
    assert {name: cells[name] for name in SURE} == {name: known[name] for name in SURE}


def obliging(call: ModelCall) -> object:
    order = Order(items=[Item(name="nail", count=2)], speed="fast", code="none")
    return "hello" if call.output is None else order


async def test_a_model_of_ones_own_can_be_checked() -> None:
    row = await conform(FunctionModel(obliging))
    assert row.cells["text"] == "yes"
    assert list(row.cells) == list(COLUMNS)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"text": ""}, "came back empty"),
        ({"usage": replace(Completion("x", None).usage, input_tokens=0)}, "was not counted"),
    ],
)
async def test_a_model_that_breaks_the_contract_is_told_how(fault: dict[str, object], says: str) -> None:
    class Broken(FunctionModel):
        async def answer(self, call: Call) -> Completion[None]:
            return replace(await super().answer(call), **fault)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    with pytest.raises(NotConforming, match=says):
        await conform(Broken(obliging))


def test_a_table_is_put_in_the_place_of_the_old_one() -> None:
    made = table([Row("a@http://x", dict.fromkeys(COLUMNS, "yes"))])
    page = f"before\n\n{REAL}\n\n| old |\n| --- |\n\nafter\n"
    assert rewritten(page, made, REAL) == f"before\n\n{REAL}\n\n{made}\n\nafter\n"
    assert made.startswith("| what | `a` |")
    assert rewritten("no mark", made, REAL) == "no mark"
