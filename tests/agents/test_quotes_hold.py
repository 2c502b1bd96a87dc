"""From a file to an answer: whatever is quoted stands in the source, character by character."""

import io
import re
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from collegium.agents import Answer, ShortAnswer, Statement, Statements, Writer
from collegium.cli.text import one_line
from collegium.cli.views import show_state
from collegium.knowledge import HashEmbedder, Index, verify
from collegium.models import Capabilities
from collegium.models.base import Level
from collegium.testing import ScriptedModel

WORDS = st.sampled_from(
    [
        "harbour",
        "of",
        "Brill",
        "was",
        "built",
        "1412",
        "x\u0301",
        "naïve",
        "“quoted”",
        "it's",
        "e.g.",
        "3.11",
        "🙂",
        "ﬁ",
        "<b>",
        "&amp;",
    ]
)
BREAKS = st.sampled_from(
    [
        " ",
        ". ",
        "? ",
        "\n",
        "\r\n",
        "\n\n",
        "\t",
        ":\n\n```\n",
        "\n```\n",
        "\n# ",
        "\n- ",
        " | ",
        "\u2028",
        "\f",
        "\u00a0",
    ]
)
DOCUMENT = st.lists(st.tuples(WORDS, BREAKS), min_size=1, max_size=40).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)
SAID = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


def written(file: Path, text: str) -> Path:
    """The file with exactly these characters, line ends included."""
    file.write_bytes(text.encode("utf-8"))
    return file


def quotes_shown(answer: Answer) -> list[str]:
    """The quotes as the terminal shows them."""
    out = io.StringIO()
    show_state(Console(file=out, width=10_000), {"answer": answer.model_dump(mode="json")})
    return re.findall("^ {6}“(.*)” *$", out.getvalue(), re.MULTILINE)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    document=DOCUMENT,
    suffix=st.sampled_from([".md", ".txt", ".html", ".rst", ".py"]),
    question=SAID,
    said=SAID,
    level=st.sampled_from(["tiny", "small", "capable"]),
)
async def test_every_quote_of_an_answer_stands_in_the_indexed_source(
    document: str, suffix: str, question: str, said: str, level: Level
) -> None:
    embedder = HashEmbedder()
    short = ShortAnswer(answer=said[:80])
    stated = Statements(statements=[Statement(statement="Built by Brill.", quote=said)])
    model = ScriptedModel([stated if level == "capable" else short], capabilities=Capabilities(level=level))
    with tempfile.TemporaryDirectory() as scratch:
        file = written(Path(scratch, f"document{suffix}"), document)
        index = Index("held", folder=Path(scratch, "index"), embedder=embedder)
        await index.ingest(file)
        passages = await index.search(question, k=4)

        answer = await Writer(model, embedder=embedder)(question, passages)

        assert all(verify(citation, index) for citation in answer.citations)
        shown = quotes_shown(answer)
        assert len(shown) == len(answer.citations)
        assert all(
            quote in one_line(index.source_text(citation.source))
            for quote, citation in zip(shown, answer.citations, strict=True)
        )
        assert bool(answer.citations) == bool(answer.support)
        assert all(one.support != "supported" or one.citations for one in answer.support)
