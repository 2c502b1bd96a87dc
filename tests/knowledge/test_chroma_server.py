"""An index whose vectors a Chroma server keeps: the same as one that keeps them itself."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from collegium.core.errors import KnowledgeError
from collegium.knowledge import HashEmbedder, Index

CHROMA = Path(sys.executable).with_name("chroma")


class Counting(HashEmbedder):
    def __init__(self) -> None:
        super().__init__(64)
        self.count = 0

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.count += len(texts)
        return super().embed(texts)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Chroma server of its own."""
    program = shutil.which("chroma", path=str(CHROMA.parent)) or shutil.which("chroma")
    assert program is not None, "chromadb, which the project needs, brings this program along"
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    asked = [program, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/api/v2/heartbeat", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)  # nothing tells when a server listens
    raise RuntimeError("the Chroma server did not start")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name, text in (("lamps", "A red lamp marks the port side."), ("fees", "A berth costs 40 crowns.")):
        (tmp_path / "docs" / f"{name}.md").write_text(text)
    return tmp_path / "docs"


def index(folder: Path, server: str | None, embedder: HashEmbedder) -> Index:
    return Index("handbook", folder=folder, embedder=embedder, chroma=server)


async def test_a_server_keeps_what_a_folder_keeps(server: str, docs: Path, tmp_path: Path) -> None:
    embedder = Counting()
    there = index(tmp_path / "there", server, embedder)
    here = index(tmp_path / "here", None, Counting())

    assert (await there.ingest(docs)) == (await here.ingest(docs))

    assert await there.search("red lamp") == await here.search("red lamp")
    assert not (tmp_path / "there" / "chroma").exists()
    (docs / "lamps.md").rename(docs / "moved.md")
    embedder.count = 0
    await there.ingest(docs)
    assert embedder.count == 1  # the title is part of what is embedded; the other text is not embedded again


async def test_two_indexes_of_one_name_do_not_touch_each_other(server: str, docs: Path, tmp_path: Path) -> None:
    embedder = Counting()
    one, other = (index(tmp_path / name, server, embedder) for name in ("one", "other"))
    await one.ingest(docs)
    await other.ingest(docs / "fees.md")
    embedder.count = 0
    (docs / "more.md").write_text("A buoy rings in the fog.")
    await one.ingest(docs)
    assert embedder.count == 1


@pytest.mark.parametrize(
    ("url", "problem"),
    [("localhost:8000", "reads as http://localhost:8000"), ("http://127.0.0.1:PORT", "no Chroma server answers")],
)
async def test_no_server_is_one_clear_error(url: str, problem: str, docs: Path, tmp_path: Path) -> None:
    away = index(tmp_path / "away", url.replace("PORT", str(free_port())), HashEmbedder(64))
    with pytest.raises(KnowledgeError, match=problem):
        await away.ingest(docs)


async def test_a_server_that_fails_on_the_way_is_one_clear_error(
    server: str, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import chromadb.api.fastapi
    import httpx

    def broken(*given: Any, **named: Any) -> None:
        raise httpx.ReadError("gone")

    monkeypatch.setattr(chromadb.api.fastapi.FastAPI, "_upsert", broken)
    with pytest.raises(KnowledgeError, match="the Chroma server failed"):
        await index(tmp_path / "gone", server, HashEmbedder(64)).ingest(docs)
