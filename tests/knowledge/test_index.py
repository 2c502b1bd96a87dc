"""An index: what goes in comes out, once, and only what has changed is done again."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from collegium.core.errors import IndexBusy, InvalidInput, KnowledgeError
from collegium.knowledge import HashEmbedder, Index, IngestReport
from collegium.knowledge.catalog import only_writer
from collegium.knowledge.vectors import open_vectors


class Counting(HashEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.seen += texts
        return super().embed(texts)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "harbour.md").write_text("# Harbour\n\nThe harbour opens at six. Ships wait outside.\n")
    (folder / "lamps.txt").write_text("A red lamp marks the port side. A green lamp marks starboard.\n")
    (folder / "page.html").write_text("<title>Fees</title><p>A berth costs <b>40 crowns</b> a night.</p>")
    return folder


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def index(tmp_path: Path, embedder: Counting) -> Index:
    return Index("handbook", folder=tmp_path / "index", embedder=embedder)


async def test_ingested_documents_are_found_with_their_exact_place(index: Index, docs: Path) -> None:
    report = await index.ingest(docs)

    passages = await index.search("When does the harbour open?", k=2)

    assert report == IngestReport(added=3, unchanged=0, removed=0, skipped=(), passages=3)
    assert passages[0].source == str(docs / "harbour.md")
    assert passages[0].heading == "harbour > Harbour"
    assert 1 >= passages[0].score > passages[1].score >= 0
    for passage in passages:
        assert index.source_text(passage.source)[passage.start : passage.end] == passage.text


async def test_the_text_of_a_page_is_kept_for_its_citations(index: Index, docs: Path) -> None:
    await index.ingest(docs)
    (passage, *_) = await index.search("What does a berth cost?", k=1)
    assert passage.text == "A berth costs 40 crowns a night."
    assert index.source_text(passage.source) == "A berth costs 40 crowns a night.\n"


async def test_ingesting_again_what_has_not_changed_does_nothing(index: Index, docs: Path, embedder: Counting) -> None:
    await index.ingest(docs)
    before = {file: file.stat().st_mtime_ns for file in index.folder.rglob("*")}
    embedder.seen.clear()

    report = await index.ingest(docs)

    assert report == IngestReport(added=0, unchanged=3, removed=0, skipped=(), passages=3)
    assert embedder.seen == []
    assert {file: file.stat().st_mtime_ns for file in index.folder.rglob("*")} == before


async def test_changed_files_are_replaced_and_vanished_ones_removed(
    index: Index, docs: Path, embedder: Counting
) -> None:
    await index.ingest(docs)
    embedder.seen.clear()
    (docs / "lamps.txt").write_text("A blue lamp marks the bridge.")
    (docs / "harbour.md").unlink()

    report = await index.ingest(docs)

    assert (report.added, report.unchanged, report.removed, report.passages) == (1, 1, 1, 2)
    assert embedder.seen == ["lamps\nA blue lamp marks the bridge."]
    assert {p.text for p in await index.search("lamp harbour", k=9)} == {
        "A blue lamp marks the bridge.",
        "A berth costs 40 crowns a night.",
    }
    with pytest.raises(KnowledgeError, match="does not hold"):
        index.source_text(str(docs / "harbour.md"))


async def test_only_files_below_the_ingested_folder_can_vanish(index: Index, docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Elsewhere.")
    await index.ingest([docs, other])
    other.unlink()
    assert (await index.ingest(docs)).removed == 0
    assert str(other) in index.sources()


async def test_a_moved_text_is_not_embedded_again(index: Index, docs: Path, embedder: Counting) -> None:
    await index.ingest(docs)
    embedder.seen.clear()
    (docs / "new").mkdir()
    (docs / "lamps.txt").rename(docs / "new" / "lamps.txt")
    report = await index.ingest(docs)
    assert (report.added, report.removed) == (1, 1)
    assert embedder.seen == []


async def test_known_and_new_texts_go_in_together(index: Index, docs: Path, embedder: Counting) -> None:
    await index.ingest(docs)
    embedder.seen.clear()
    (docs / "new").mkdir()
    (docs / "lamps.txt").rename(docs / "new" / "lamps.txt")
    (docs / "more.txt").write_text("A buoy rings in the fog.")
    await index.ingest(docs)
    assert embedder.seen == ["more\nA buoy rings in the fog."]
    assert {p.title for p in await index.search("red lamp buoy fog", k=2)} == {"lamps", "more"}


async def test_unreadable_files_are_skipped_with_the_reason(index: Index, docs: Path) -> None:
    (docs / "broken.txt").write_bytes(b"\x00\x01\x02")
    (docs / "empty.md").write_text("\n")
    report = await index.ingest(docs)
    assert report.added == 3
    assert [(Path(path).name, reason) for path, reason in report.skipped] == [
        ("broken.txt", "it is binary."),
        ("empty.md", "there is no text in it."),
    ]


async def test_a_new_process_and_an_old_reader_see_the_same(index: Index, docs: Path, tmp_path: Path) -> None:
    await index.ingest(docs)
    reader = Index("handbook", folder=tmp_path / "index", embedder=HashEmbedder())
    first = await reader.search("red lamp", k=3)
    assert first == await index.search("red lamp", k=3)

    (docs / "more.txt").write_text("A red lamp burns at the pier.")
    await index.ingest(docs)

    assert "A red lamp burns at the pier." in {p.text for p in await reader.search("red lamp", k=2)}


async def test_a_second_writer_is_refused_at_once_and_readers_are_not(index: Index, docs: Path) -> None:
    await index.ingest(docs)
    with only_writer(index.folder, index.name):
        with pytest.raises(KnowledgeError, match="another process is writing"):
            await index.ingest(docs)
        assert await index.search("lamp", k=1)
    assert (await index.ingest(docs)).unchanged == 3


HOLD = """
import sys
from pathlib import Path
from collegium.knowledge.catalog import only_writer
from collegium.knowledge.vectors import open_vectors
with only_writer(Path(sys.argv[1]), "handbook"):
    print("held", flush=True)
    sys.stdin.read()
"""


async def test_the_lock_of_a_killed_writer_is_free(index: Index, docs: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(index.folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert await asyncio.wait_for(writer.stdout.readline(), 60) == b"held\n"
    with pytest.raises(KnowledgeError, match="writing"):
        await index.ingest(docs)
    writer.kill()
    await writer.wait()
    assert (await index.ingest(docs)).added == 3


INGEST_SLOWLY = """
import asyncio, sys
from pathlib import Path
from collegium.knowledge import HashEmbedder, Index

class Paused(HashEmbedder):
    def embed(self, texts):
        print("embedding", flush=True)
        sys.stdin.readline()
        return super().embed(texts)

index = Index("handbook", folder=Path(sys.argv[1]), embedder=Paused())
print(asyncio.run(index.ingest(sys.argv[2])).added, flush=True)
"""


async def test_another_process_reads_on_and_is_refused_at_once_while_one_is_in_the_middle_of_an_ingestion(
    index: Index, docs: Path
) -> None:
    await index.ingest(docs)
    (docs / "more.txt").write_text("A red lamp burns at the pier.")
    command = [sys.executable, "-c", INGEST_SLOWLY, str(index.folder), str(docs)]
    writer = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout
    assert writer.stdin
    assert await asyncio.wait_for(writer.stdout.readline(), 60) == b"embedding\n"

    # the other process stands still in the middle: whatever waited for it would wait for ever
    async with asyncio.timeout(60):
        opened_now = Index("handbook", folder=index.folder, embedder=HashEmbedder())
        for reader in (index, opened_now):
            assert "pier" not in " ".join(p.text for p in await reader.search("red lamp", k=3))
            with pytest.raises(IndexBusy, match="another process is writing"):
                await reader.ingest(docs)

    writer.stdin.write(b"go on\n")
    await writer.stdin.drain()
    assert await asyncio.wait_for(writer.stdout.readline(), 60) == b"1\n"
    await writer.wait()
    assert "A red lamp burns at the pier." in {p.text for p in await index.search("red lamp", k=2)}


async def test_progress_is_told_in_the_callers_loop(index: Index, docs: Path) -> None:
    loop = asyncio.get_running_loop()
    told: list[tuple[str, int, int]] = []

    def show(text: str, done: int, total: int) -> None:
        assert asyncio.get_running_loop() is loop
        told.append((text, done, total))

    await index.ingest(docs, progress=show)
    await asyncio.sleep(0)
    assert told == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3), ("embedding", 3, 3)]


async def test_another_embedder_needs_another_ingestion(index: Index, docs: Path) -> None:
    await index.ingest(docs)
    other = Index("handbook", folder=index.folder, embedder=HashEmbedder(64))
    with pytest.raises(KnowledgeError, match="made with 'hash-256', not 'hash-64'"):
        await other.search("lamp")
    assert (await other.ingest(docs)).added == 3
    assert await other.search("lamp", k=1)


async def test_keywords_alone_find_shared_words_only(tmp_path: Path, docs: Path) -> None:
    index = Index("words", folder=tmp_path / "words", keyword_only=True)
    await index.ingest(docs)
    assert [p.title for p in await index.search("starboard lamp")] == ["lamps"]
    assert await index.search("submarine") == []


async def test_a_document_that_the_question_names_comes_first(index: Index, docs: Path) -> None:
    for name in ("lumen", "lumen-extra", "other"):
        text = f"Metadata-Version: 2.4\nName: {name}\nLicense: MIT\n\n" + "The lumen lamp needs a lumen. " * 60
        (docs / name).mkdir()
        (docs / name / "METADATA").write_text(text)
    await index.ingest(docs)
    best = (await index.search("Which licence has lumen?", k=1))[0]
    assert (best.title, best.text.splitlines()[1]) == ("lumen", "License: MIT")


async def test_vectors_that_chroma_lost_are_made_again(index: Index, docs: Path, embedder: Counting) -> None:
    await index.ingest(docs)
    before = await index.search("red lamp", k=3)
    with open_vectors(index.folder / "chroma", embedder) as vectors:
        vectors.delete(sorted(vectors.ids()))
    (docs / "more.txt").write_text("Nothing.")
    await index.ingest(docs)
    assert (await index.search("red lamp", k=1))[0].text == before[0].text


async def test_a_cancelled_ingestion_leaves_the_index_as_it_was(tmp_path: Path, docs: Path) -> None:
    started = asyncio.Event()
    index = Index("handbook", folder=tmp_path / "index", embedder=HashEmbedder())

    def show(text: str, done: int, total: int) -> None:
        started.set()

    work = asyncio.create_task(index.ingest(docs, progress=show))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert index.count in (0, 3)


async def test_an_index_of_no_documents_can_be_searched(index: Index, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (await index.ingest(tmp_path / "empty")).passages == 0
    assert await index.search("anything") == []


async def test_what_is_not_there_is_named(index: Index, tmp_path: Path, docs: Path) -> None:
    with pytest.raises(KnowledgeError, match="collegium ingest PATH --into handbook"):
        await index.search("lamp")
    with pytest.raises(KnowledgeError, match="no such file"):
        await index.ingest(tmp_path / "absent")
    with pytest.raises(KnowledgeError, match="a name is"):
        Index("../up")
    assert index.count == 0
    await index.ingest(docs)
    with pytest.raises(InvalidInput, match="k"):
        await index.search("lamp", k=0)


async def test_missing_weights_are_said_before_anything_is_done(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLEGIUM_CACHE", str(tmp_path / "cache"))
    index = Index("handbook", folder=tmp_path / "index")
    with pytest.raises(KnowledgeError, match="collegium models pull minilm"):
        await index.ingest(docs)
    assert not index.exists


async def test_damaged_books_give_one_clear_error(index: Index, docs: Path) -> None:
    await index.ingest(docs)
    (index.folder / "catalog.db").write_bytes(b"not a database" * 100)
    with pytest.raises(KnowledgeError, match="catalogue"):
        await index.search("lamp")


def test_building_an_index_does_no_io(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Index("handbook")
    assert list(tmp_path.iterdir()) == []


async def test_the_default_folder_lies_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Index("handbook").folder == tmp_path / ".collegium" / "indexes" / "handbook"


async def test_words_alone_find_the_only_passage_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "hours.md").write_text("The library opens at nine.", encoding="utf-8")
    index = Index("one", folder=tmp_path / "one", keyword_only=True)
    await index.ingest([tmp_path / "hours.md"])

    found = await index.search("When does the library open?")

    assert [passage.text for passage in found] == ["The library opens at nine."]
    assert await index.search("zebra crossing") == []
