"""`models probe` and `models fit` as a user runs them."""

import asyncio
from collections.abc import Callable
from typing import Any

from collegium.testing.providers import ProviderServer

Command = Callable[..., Any]


async def test_a_probe_tells_machines_and_people_what_it_saw(process: Command) -> None:
    async with ProviderServer("openai-compatible") as server:
        spec = f"openai-compatible:m@{server.url}"
        told = await asyncio.to_thread(process, "models", "probe", spec, "--json")
        shown = await asyncio.to_thread(process, "models", "probe", spec)

    assert (told.status, shown.status) == (0, 0)
    assert list(told.json) == ["spec", "level", "structured", "tools", "context_tokens", "behaviour"]
    assert told.json["spec"] == spec
    assert told.json["behaviour"]["window_found"] == 4096
    assert "longer prompts are cut in silence at" in shown.out and "4,096" in shown.out


def test_a_probe_of_nothing_is_one_line(collegium: Command) -> None:
    missing = collegium("models", "probe", "vllm:m@http://127.0.0.1:9/v1")
    scripted = collegium("models", "probe", "scripted")

    assert (missing.status, scripted.status) == (1, 2)
    assert "nothing answers at http://127.0.0.1:9" in missing.line
    assert "handed over as an object" in scripted.line


def test_a_fit_tells_the_size_the_verdict_and_the_lines_that_start_it(collegium: Command) -> None:
    size = ("--params", "7b", "--bits", "4", "--context", "8192", "--slots", "4")
    told = collegium("models", "fit", *size, "--gpu-gb", "24", "--json")
    small = collegium("models", "fit", *size, "--gpu-gb", "2")

    assert (told.status, told.json["fits"], told.json["weights_gb"]) == (0, True, 4.2)
    assert set(told.json["commands"]) == {"vllm", "ollama", "llamacpp"}
    assert "--ctx-size 32768 --parallel 4" in told.json["commands"]["llamacpp"]
    assert small.status == 1
    assert "it does not fit in 2 GB; not at any number of bits either" in small.out


def test_a_fit_of_nothing_known_is_one_line(collegium: Command) -> None:
    unknown = collegium("models", "fit", "lama-3.1-8b")
    nothing = collegium("models", "fit")

    assert (unknown.status, nothing.status) == (2, 2)
    assert "Did you mean 'llama-3.1-8b'?" in unknown.line
    assert "--params 7b" in nothing.line
