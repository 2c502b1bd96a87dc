"""What a run found, as the terminal shows it."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from collegium.cli.views import show_state, usage_line, where


def shown(state: dict[str, Any]) -> str:
    out = io.StringIO()
    show_state(Console(file=out, width=200), state)
    return out.getvalue()


def test_a_plan_shows_each_step_with_who_does_it_and_what_it_waits_for() -> None:
    steps: list[dict[str, object]] = [
        {"id": "s1", "goal": "find the licence", "tool": None, "agent": "search", "depends_on": []},
        {"id": "s2", "goal": "write it down", "tool": "write", "agent": None, "depends_on": ["s1"]},
    ]

    text = shown({"plan": {"goal": "g", "steps": steps}})

    assert "s1  find the licence  [search]" in text
    assert "s2  write it down  [write]  after s1" in text


def test_an_answer_shows_its_sources_by_line_where_the_file_holds_the_quote(tmp_path: Path) -> None:
    source = tmp_path / "handbook.md"
    source.write_text("First line.\nThe room opens at nine.\n", encoding="utf-8")
    quote = {"passage_id": "p", "source": str(source), "start": 12, "end": 35, "quote": "The room opens at nine."}
    answer = {"text": "At nine.", "citations": [quote], "confidence": "confident", "model": "quoting"}

    text = shown({"answer": answer})

    assert "At nine." in text
    assert f"[1] {source}, line 2" in text
    assert "“The room opens at nine.”" in text
    assert "confident, by quoting" in text


def test_a_quote_that_is_not_in_the_file_is_placed_by_characters_only(tmp_path: Path) -> None:
    source = tmp_path / "page.html"
    source.write_text("<p>The room opens at nine.</p>", encoding="utf-8")

    assert where({"source": str(source), "start": 0, "end": 23, "quote": "The room opens at nine."}).endswith(
        "characters 0 to 23"
    )


def test_a_verdict_shows_score_and_reason_of_each_criterion() -> None:
    scores = [{"criterion": "grounded", "score": 1.0, "reason": "program: covered"}]
    verdict = {"passed": True, "score": 1.0, "scores": scores, "abstained": False, "feedback": "", "model": "program"}

    text = shown({"verdict": verdict})

    assert "passed with 1.00  by program" in text
    assert "1.00  grounded: program: covered" in text


def test_an_abstention_is_no_verdict() -> None:
    verdict = {"passed": False, "score": 0.0, "abstained": True, "feedback": "needs a larger model"}

    assert "no verdict with 0.00" in shown({"verdict": verdict})


def test_values_of_a_users_own_are_shown_whole_and_empty_ones_left_out() -> None:
    text = shown({"orders": [{"id": 7, "note": "late\x1b[31m"}], "empty": [], "none": None})

    assert text.split() == ["orders", "-", "id:", "7", "note:", "late\\x1b[31m"]


def test_usage_is_one_line() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 234, "model_calls": 2}

    assert usage_line(usage, "smollm2") == "2 model calls of smollm2, 1,234 tokens"
    assert usage_line({}, None) == "0 model calls, 0 tokens"


def test_an_answer_names_the_sentences_that_the_passages_do_not_fully_support() -> None:
    text = "It opens at nine. It was built in 1812."
    marks = [
        {"start": 0, "end": 17, "support": "supported", "reason": "100% of its words stand in the evidence"},
        {"start": 18, "end": 39, "support": "unsupported", "reason": "not in the evidence: 1812"},
    ]
    answer = {"text": text, "citations": [], "confidence": "uncertain", "model": "m", "support": marks}

    seen = shown({"answer": answer})

    assert "unsupported: “It was built in 1812.” (not in the evidence: 1812)" in seen
    assert "supported: “It opens" not in seen
