"""Embedders: the hashing one always, MiniLM with its weights."""

import math
from pathlib import Path

import pytest

from collegium.core.errors import KnowledgeError
from collegium.knowledge import HashEmbedder, MiniLM, default_embedder
from collegium.models import pull_sync


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_texts_that_share_words_are_near_in_the_hashing_space() -> None:
    lamp, lamps, berth, nothing = HashEmbedder().embed(["red lamp", "lamps, red", "a berth", "!"])
    assert cosine(lamp, lamps) > 0.999
    assert abs(cosine(lamp, berth)) < 0.001
    assert not any(nothing)
    assert math.isclose(math.hypot(*lamp), 1)


def test_missing_or_damaged_weights_are_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLEGIUM_CACHE", str(tmp_path))
    assert default_embedder() is None
    with pytest.raises(KnowledgeError, match="collegium models pull minilm"):
        MiniLM().embed(["x"])
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(KnowledgeError, match="cannot be loaded"):
        MiniLM(tmp_path).embed(["x"])


@pytest.mark.embedded
def test_minilm_puts_a_paraphrase_nearer_than_another_topic() -> None:
    model = MiniLM(pull_sync("minilm"))
    question, answer, other = model.embed(
        ["When may guests come in?", "The doors open at nine for visitors.", "Iron melts at 1,538 degrees." * 99]
    )
    assert len(question) == model.dimension
    assert math.isclose(math.hypot(*question), 1, abs_tol=1e-5)
    assert cosine(question, answer) > cosine(question, other) + 0.2
    assert model.embed([]) == []
