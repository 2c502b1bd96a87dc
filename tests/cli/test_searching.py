"""`ingest` and `search` as a user types them, over an index of words alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collegium.cli.searching import why
from collegium.cli.text import ordinal
from collegium.knowledge import Found, Part, Passage

Command = Callable[..., Any]


@pytest.fixture
def port(collegium: Command, project: Path) -> Command:
    """The command, in a project with an index `port`."""
    texts = {
        "manual/lamps.md": "# Lamps\n\nA red lamp marks the port side.\n",
        "notes/berths.md": "# Berths\n\nA berth costs forty crowns a night.\n",
        "notes/lamps.md": "# Old lamps\n\nThe red lamp was once green.\n",
    }
    for name, text in texts.items():
        file = project / "docs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    report = collegium("ingest", "docs", "--into", "port", "--keyword-only", "--json").json
    assert (report["added"], report["passages"]) == (3, 3)
    return collegium


def test_a_search_shows_the_part_that_each_ranking_played(port: Command) -> None:
    shown = port("search", "port", "What does a berth cost a night?").out

    assert "1.00  " in shown
    assert "keywords 1st (" in shown
    assert "relevance 1.00" in shown
    assert "A berth costs forty crowns a night." in shown
    assert "1 passage." in shown


def test_a_search_says_when_nothing_is_about_it(port: Command) -> None:
    shown = port("search", "port", "Which night does the theatre company perform Hamlet?").out

    assert "None of them seems to be about this." in shown


def test_a_search_keeps_to_the_sources_and_headings_that_are_wanted(port: Command) -> None:
    def sources(*words: str) -> set[str]:
        found = port("search", "port", "red lamp", "--json", *words).json
        return {"/".join(Path(one["source"]).parts[-2:]) for one in found}

    assert sources() == {"manual/lamps.md", "notes/lamps.md"}
    assert sources("--source", "*/manual/*") == {"manual/lamps.md"}
    assert sources("--heading", "old lamps") == {"notes/lamps.md"}


def test_each_passage_is_told_with_what_either_ranking_gave_it(port: Command) -> None:
    (found,) = port("search", "port", "What does a berth cost a night?", "--json").json

    assert found["keyword"]["rank"] == 1
    assert found["keyword"]["score"] > 0
    assert (found["vector"], found["named"]) == (None, True)
    assert found["relevance"] > 0.9


def test_an_index_without_vectors_stays_one(port: Command, project: Path) -> None:
    (project / "docs" / "more.md").write_text("The harbour opens at six.", "utf-8")

    assert port("ingest", "docs", "--into", "port", "--json").json["added"] == 1


def test_a_server_that_makes_no_vectors_is_refused(port: Command) -> None:
    found = port("search", "port", "berth", "--embedder", "anthropic:claude")

    assert found.status != 0
    assert "makes no vectors" in found.line


def test_a_model_that_is_no_server_is_refused_as_a_reranker(port: Command) -> None:
    found = port("search", "port", "berth", "--rerank", "embedded")

    assert found.status != 0
    assert "does not re-rank" in found.line


def test_both_parts_a_named_title_and_the_relevance_are_told() -> None:
    passage = Passage(passage_id="p", source="s", start=0, end=1, text="t", relevance=0.5)

    assert why(Found(passage, Part(1, 8.314), Part(23, 0.5), named=True)) == (
        "keywords 1st (8.31), vectors 23rd (0.50), title named, relevance 0.50"
    )
    assert why(Found(passage.model_copy(update={"relevance": None}), None, Part(2, 0.4))) == "vectors 2nd (0.40)"
    assert why(Found(passage, None, None, reranked=Part(1, 0.9))) == "model 1st (0.90), relevance 0.50"


@pytest.mark.parametrize("text", ["1st", "2nd", "3rd", "4th", "11th", "112th", "1,021st"])
def test_ranks_are_ordinals(text: str) -> None:
    assert ordinal(int(text[:-2].replace(",", ""))) == text
