"""Documents for an index: any bytes under any name."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from collegium.core.errors import KnowledgeError
from collegium.knowledge import HashEmbedder, Index
from collegium.knowledge.chunking import passages_of, search_text
from collegium.knowledge.loading import load

from .corpus import content_bytes, contents, texts
from .judging import Door, Outcome

SUFFIXES = (".txt", ".md", ".html", ".py", ".json", ".csv", ".rst", ".pdf", ".docx", "", ".xhtml", ".log")
PIECES = (
    *(
        "# Title\n\n",
        "text. ",
        "\n\n",
        "<p>",
        "</p>",
        "<h1>",
        "<script>",
        "<!--",
        "-->",
        "<![CDATA[",
        "&amp;",
        "&#0;",
        "&#x110000;",
    ),
    *(
        "| a | b |\n",
        "```\n",
        "    code\n",
        "Name: value\n",
        "def f():\n",
        "- item\n",
        "1. item\n",
        "====\n",
        "<table>",
        "<td>",
    ),
    *(
        "\u2028",
        "\r",
        "\x0c",
        "Sentence one. Sentence two! ",
        "e.g. ",
        "a" * 3000,
        "word " * 400,
        "<a href='x'>",
        '<img alt="',
    ),
)

_LARGEST = 100_000
_READ = 20
"""Bytes of a document, and passages of it: enough to be odd, and few enough for thousands of them."""


def door(folder: Path) -> Door:
    """Each document is read and cut; every fiftieth goes into an index and is searched for."""
    seen = 0

    def attempt(example: tuple[str, str, Any]) -> Outcome:
        nonlocal seen
        name, suffix, content = example
        path, data = Path(f"{name}{suffix}"), content_bytes(content)[:_LARGEST]
        try:
            document = load(path, data)
        except KnowledgeError as error:
            assert str(path) in str(error)
            return "refused"
        passages = passages_of(document)
        for passage in passages[:_READ]:
            assert document.text[passage.start : passage.end] == passage.text
            search_text(passage.heading, passage.text, code=document.code)
        seen += 1
        if seen % 50 == 1 and len(data) < 100_000:
            _index(folder, seen, suffix, data)
        return "accepted"

    pieces = st.lists(st.one_of(st.sampled_from(PIECES), texts()), max_size=12).map("".join)
    made = st.one_of(contents(), pieces.map(lambda text: text.encode("utf-8", "replace")))
    name = texts(surrogates=False, nul=False).map(lambda text: text.replace("/", "_")[:60] or "x")
    return Door("documents", st.tuples(name, st.sampled_from(SUFFIXES), made), attempt)


def _index(folder: Path, number: int, suffix: str, data: bytes) -> None:
    home = folder / f"index-{number}"
    home.mkdir()
    file = home / f"file{suffix}"
    file.write_bytes(data)
    asyncio.run(_searched(home, file))


async def _searched(home: Path, file: Path) -> None:
    index = Index("odd", folder=home / "indexes", embedder=HashEmbedder())
    await index.ingest(file)
    for passage in await index.search("text [red]x[/red] \x1b[2J", k=3):
        assert passage.text
    await index.close()
