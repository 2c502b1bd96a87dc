"""Looking for servers on this machine, and what importing the room costs."""

import asyncio
import subprocess
import sys

import pytest

import collegium.models as models
from collegium.models import list_servers, servers
from collegium.testing.serving import ChatServer


async def test_a_server_that_answers_is_listed_with_the_specs_that_select_its_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listing = [{"id": "qwen3:4b", "owned_by": "library"}, {"id": "phi", "owned_by": "library"}]
    async with ChatServer(models=listing) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        found = [s for s in await list_servers() if s.url == server.url]
    assert [(s.provider, s.models) for s in found] == [("ollama", ("qwen3:4b", "phi"))]
    assert found[0].specs[0] == f"ollama:qwen3:4b@{server.url}"


async def test_servers_that_share_a_port_are_told_apart_by_their_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ChatServer(models=[{"id": "m", "owned_by": "llamafile"}]) as server:
        monkeypatch.setenv("LLAMACPP_BASE_URL", server.url)
        monkeypatch.setenv("LLAMAFILE_BASE_URL", server.url)
        found = [s for s in await list_servers() if s.url == server.url]
    assert [s.provider for s in found] == ["llamafile"]


async def test_a_port_that_accepts_and_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "LOOK_S", 0.3)
    accepted = asyncio.Event()
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await over.wait()
        writer.close()

    mute = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with ChatServer(models=[{"id": "m"}]) as server:
        monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{mute.sockets[0].getsockname()[1]}")
        monkeypatch.setenv("JAN_BASE_URL", server.url)
        found = await asyncio.wait_for(list_servers(), 20)
    assert accepted.is_set()
    assert [s.provider for s in found if s.url == server.url] == ["jan"]
    over.set()
    mute.close()
    await mute.wait_closed()


def test_every_public_name_is_there() -> None:
    assert all(hasattr(models, name) for name in models.__all__)
    assert models.__all__ == sorted(models.__all__, key=lambda n: (n != n.upper(), n[0].islower(), n))


def test_naming_a_model_loads_no_client() -> None:
    program = (
        "import sys, collegium.models as m; m.model('vllm:x'); m.model('openai:y'); m.model();"
        "print([n for n in ('aiohttp', 'openai', 'langgraph', 'tenacity', 'pydantic', 'chromadb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
