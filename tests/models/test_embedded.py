"""The embedded server: a real small model in a process of its own."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from collegium.core.errors import BackendUnavailable, MissingExtra
from collegium.core.messages import user
from collegium.models import Completion, Model, Params, TextDelta, model, pull, pull_sync
from collegium.models.embedded import process
from collegium.models.embedded.process import ServerProcess

SHORT = Params(temperature=0.0, max_tokens=8)


class Ticket(BaseModel):
    kind: Literal["bug", "question"]
    words: list[str]


@pytest.fixture
async def embedded() -> AsyncIterator[Model]:
    pytest.importorskip("xllamacpp")
    await pull("smollm2")
    small = model("embedded")
    yield small
    await small.aclose()


@pytest.mark.embedded
async def test_the_embedded_model_answers_streams_and_fills_a_schema(embedded: Model) -> None:
    assert (await embedded.complete([user("Say hello.")], params=SHORT)).usage.output_tokens > 0
    events = [event async for event in embedded.stream([user("Say hello.")], params=SHORT)]
    assert isinstance(events[0], TextDelta) and isinstance(events[-1], Completion)
    done = await embedded.complete([user("It crashes. What kind?")], output=Ticket, params=Params(temperature=0.0))
    assert done.output.kind in ("bug", "question")
    assert done.rung == "json_schema"
    assert (await embedded.capabilities()).level == "tiny"


@pytest.mark.embedded
async def test_a_crashed_server_is_started_once_more_and_then_given_up(
    embedded: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    await embedded.complete([user("Hi")], params=SHORT)
    (server,) = [s for s in process._running.values() if s.pid]  # pyright: ignore[reportPrivateUsage]
    _kill(server)
    assert (await embedded.complete([user("Hi")], params=SHORT)).text
    _kill(server)
    with pytest.raises(BackendUnavailable, match="crashed 2 times"):
        await embedded.complete([user("Hi")], params=SHORT)


def _kill(server: ServerProcess) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    assert server._process  # pyright: ignore[reportPrivateUsage]
    server._process.wait(10)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.embedded
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_the_server_ends_with_its_parent() -> None:
    pytest.importorskip("xllamacpp")
    pull_sync("smollm2")
    program = """
        import asyncio, sys
        from collegium.core.messages import user
        from collegium.models import Params, model
        from collegium.models.embedded import process
        async def main():
            await model("embedded").complete([user("Hi")], params=Params(max_tokens=2))
            print(*[s.pid for s in process._running.values()], flush=True)
            sys.stdin.read()
        asyncio.run(main())
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        watch = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended, _, _ = select.select([watch], [], [], 20)
    os.close(watch)
    assert ended


def test_a_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"not weights")
    server = ServerProcess(path, "embedded:broken.gguf")
    with pytest.raises(BackendUnavailable, match="did not start"):
        server.address()
    server.stop()


def test_a_missing_runtime_is_the_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r'pip install "collegium\[embedded\]"'):
        ServerProcess(tmp_path / "m.gguf", "embedded").address()
