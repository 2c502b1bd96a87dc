"""Notes that outlive a thread: kept once, found by meaning, forgotten for good."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from collegium.core.errors import InvalidInput
from collegium.knowledge import HashEmbedder, Index, Memory, Ranking, locate, verify
from collegium.knowledge.catalog import only_writer

TEA = "Ada drinks green tea in the morning."
HARBOUR = "The harbour of Brill was built in 1412."


def index(folder: Path) -> Index:
    return Index("ada", folder=folder / "a [*] folder", embedder=HashEmbedder())


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(index(tmp_path))


async def test_a_note_is_recalled_by_a_memory_that_did_not_make_it(memory: Memory, tmp_path: Path) -> None:
    await memory.remember(TEA)
    kept = await memory.remember(HARBOUR)

    (found,) = await Memory(index(tmp_path)).recall("When was the harbour built?", k=1)

    assert (found.text, found.source) == (HARBOUR, kept.source)
    citation = locate("built in 1412", [found])
    assert citation is not None
    assert verify(citation, memory.index), "a note can be cited like any other source"


async def test_the_same_words_are_one_note_and_keep_their_time(memory: Memory) -> None:
    first = await memory.remember(TEA)
    os.utime(first.source, (1, 1))
    again = await memory.remember("  ada drinks green tea\nin the morning. ")

    assert [note.note_id for note in memory.notes()] == [first.note_id] == [again.note_id]
    assert again.text == TEA
    assert again.made.year == 1970


async def test_what_is_forgotten_is_gone_from_the_list_the_index_and_the_disk(memory: Memory) -> None:
    tea, harbour = await memory.remember(TEA), await memory.remember(HARBOUR)

    assert await memory.forget(tea.note_id)

    assert memory.notes() == [harbour]
    assert [one.text for one in await memory.recall("green tea", k=5)] == [HARBOUR]
    assert memory.index.sources() == [harbour.source]
    assert [path.name for path in memory.folder.iterdir()] == [f"{harbour.note_id}.md"]
    assert not await memory.forget(tea.note_id)


@pytest.mark.parametrize("note_id", ["", "../../catalog", "n1/../../secret", "*"])
async def test_an_id_that_is_none_forgets_nothing(memory: Memory, note_id: str) -> None:
    await memory.remember(TEA)
    (memory.folder.parent / "secret.md").write_text("not a note")

    assert not await memory.forget(note_id)

    assert (memory.folder.parent / "secret.md").exists()
    assert len(memory.notes()) == 1


async def test_notes_beside_documents_are_recalled_though_documents_fit_better(memory: Memory, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        (docs / f"{number}.md").write_text(f"Green tea, green tea, {'green tea ' * number}in the morning.")
    await memory.index.ingest(docs)
    await memory.remember("She wants no milk in it.")

    assert [one.text for one in await memory.recall("green tea", k=1)] == ["She wants no milk in it."]
    assert len(await memory.index.search("green tea", k=40, ranking=Ranking(repeats=True))) == 31


async def test_without_notes_nothing_is_recalled(memory: Memory) -> None:
    assert await memory.recall("anything") == []
    assert memory.notes() == []


@pytest.mark.parametrize("text", ["", " \n ", "x" * 2001, "a\0b", "\ud800"])
async def test_what_is_no_note_is_refused_and_leaves_nothing(memory: Memory, text: str) -> None:
    with pytest.raises(InvalidInput, match="text"):
        await memory.remember(text)
    assert memory.notes() == []


async def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    facts = [f"Box {number} holds {number * 7} lamps." for number in range(8)]

    await asyncio.gather(*(Memory(index(tmp_path)).remember(fact) for fact in facts))

    memory = Memory(index(tmp_path))
    assert {one.text for one in await memory.recall("lamps", k=20)} == set(facts)


async def test_while_another_writes_a_note_is_kept_and_found_afterwards(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collegium.knowledge.memory._WAITS_S", (0.0,))
    await memory.remember(TEA)
    with only_writer(memory.index.folder, memory.index.name):
        await memory.remember(HARBOUR)
        assert [one.text for one in await memory.recall("harbour", k=5)] == [TEA]
        assert len(memory.notes()) == 2

    assert HARBOUR in {one.text for one in await memory.recall("harbour", k=5)}


async def test_what_was_forgotten_while_another_wrote_is_not_recalled(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collegium.knowledge.memory._WAITS_S", (0.0,))
    kept = await memory.remember(TEA)
    with only_writer(memory.index.folder, memory.index.name):
        assert await memory.forget(kept.note_id)
        assert await memory.recall("green tea") == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
async def test_only_their_owner_reads_notes(memory: Memory) -> None:
    kept = await memory.remember(TEA)
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (kept.source, memory.folder)] == [0o600, 0o700]
