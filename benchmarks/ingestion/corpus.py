"""Documents of any number, made of the words of this repository's own pages: the same ones for the same seed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

PAGES = Path(__file__).parents[2] / "docs"
PASSAGES = 20
"""Passages a file."""


def write_corpus(folder: Path, passages: int, seed: int = 7) -> None:
    """Markdown files that give about so many passages."""
    folder.mkdir(parents=True)
    draw = Random(seed)
    words = _words()
    for number in range(passages // PASSAGES):
        sections = (f"## {_title(draw, words)}\n\n{paragraph(draw, words)}\n" for _ in range(PASSAGES))
        (folder / f"{number:05}.md").write_text(f"# Part {number}\n\n" + "\n".join(sections), encoding="utf-8")


def paragraph(draw: Random, words: list[str], characters: int = 640) -> str:
    """Sentences of Zipf-distributed words."""
    text: list[str] = []
    size = 0
    while size < characters:
        count = draw.randint(8, 18)
        sentence = " ".join(words[int(len(words) ** draw.random()) - 1] for _ in range(count)).capitalize() + "."
        text.append(sentence)
        size += len(sentence) + 1
    return " ".join(text)


def some_words() -> list[str]:
    """The words that documents are made of, the most frequent first."""
    return _words()


def _title(draw: Random, words: list[str]) -> str:
    return " ".join(draw.choices(words, k=3)).capitalize()


def _words() -> list[str]:
    counts: dict[str, int] = {}
    for word in _all_words():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))


def _all_words() -> Iterator[str]:
    for page in sorted(PAGES.rglob("*.md")):
        yield from re.findall(r"[a-z]{2,}", page.read_text(encoding="utf-8").lower())
