"""Each sentence of an answer is marked, and what is unsupported is shown, removed or rewritten."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.agents import Answer, Statement, Statements, Writer
from collegium.core.errors import GraphSetupError
from collegium.knowledge import Passage, verify
from collegium.models import Capabilities
from collegium.models.base import Level
from collegium.testing import ScriptedModel

SOURCE = "The harbour of Brill was built in 1412 by the monk Aldo Renn. It cost 300 guilders."
PASSAGES = [Passage(passage_id="p1", source="brill.md", start=0, end=len(SOURCE), text=SOURCE, score=0.9)]
RENN = Statement(statement="Aldo Renn built the harbour in 1412.", quote="built in 1412 by the monk Aldo Renn")
PRICE = Statement(statement="It cost 900 ducats from Venice.", quote="It cost 300 guilders")
MIXED = Statement(
    statement="The harbour cost 300 guilders. The Pope paid for it in 1600.", quote="It cost 300 guilders"
)


def scripted(*answers: object, level: Level = "capable") -> ScriptedModel:
    return ScriptedModel(answers, capabilities=Capabilities(level=level))


async def written(*answers: object, **options: Any) -> Answer:
    return await Writer(scripted(*answers), embedder=None, **options)("Who built the harbour, at what cost?", PASSAGES)


def marks(answer: Answer) -> list[tuple[str, str]]:
    return [(answer.text[one.start : one.end], one.support) for one in answer.support]


async def test_each_sentence_is_marked_and_names_its_citation() -> None:
    answer = await written(Statements(statements=[RENN, MIXED]))

    assert marks(answer) == [
        ("Aldo Renn built the harbour in 1412.", "supported"),
        ("The harbour cost 300 guilders.", "supported"),
        ("The Pope paid for it in 1600.", "unsupported"),
    ]
    assert [one.citations for one in answer.support] == [[0], [1], [1]]
    assert answer.support[2].reason == "not in the evidence: 1600, Pope"
    assert answer.unsupported == ["The Pope paid for it in 1600."]
    assert answer.confidence == "uncertain", "an answer that says more than its sources is never sure"


async def test_unsupported_sentences_are_left_out_by_policy_with_the_citations_that_only_they_had() -> None:
    answer = await written(Statements(statements=[RENN, PRICE]), unsupported="remove")

    assert answer.text == RENN.statement
    assert [citation.quote for citation in answer.citations] == [
        "The harbour of Brill was built in 1412 by the monk Aldo Renn."
    ]
    assert answer.unsupported == []
    assert answer.confidence == "likely"


async def test_part_of_a_statement_may_be_left_out() -> None:
    answer = await written(Statements(statements=[MIXED, RENN]), unsupported="remove")

    assert answer.text == "The harbour cost 300 guilders. Aldo Renn built the harbour in 1412."


async def test_unsupported_sentences_are_written_anew_once() -> None:
    better = Statement(statement="It cost 300 guilders.", quote="It cost 300 guilders")
    model = scripted(Statements(statements=[RENN, PRICE]), Statements(statements=[RENN, better]))

    answer = await Writer(model, embedder=None, unsupported="rewrite")("Who?", PASSAGES)

    assert answer.text == f"{RENN.statement} {better.statement}"
    assert answer.confidence == "confident"
    assert f"- {PRICE.statement}" in model.calls[1].prompt


async def test_what_is_still_unsupported_after_a_rewrite_is_left_out() -> None:
    answer = await written(*[Statements(statements=[RENN, PRICE])] * 2, unsupported="rewrite")

    assert answer.text == RENN.statement


@pytest.mark.parametrize("policy", ["remove", "rewrite"])
async def test_when_no_sentence_is_left_the_best_are_quoted(policy: str) -> None:
    answer = await written(*[Statements(statements=[PRICE])] * 2, unsupported=policy)

    assert answer.model == "quoting"
    assert {support for _, support in marks(answer)} == {"supported"}


async def test_quoted_sentences_are_supported_word_for_word() -> None:
    answer = await Writer(scripted("", level="tiny"), embedder=None)("What about ferries?", PASSAGES)

    assert [sentence for sentence, _ in marks(answer)] == [citation.quote for citation in answer.citations]
    assert [one.citations for one in answer.support] == [[i] for i in range(len(answer.citations))]


async def test_a_checking_model_may_lower_a_mark_and_never_raise_it() -> None:
    swapped = Statement(statement="The harbour built Aldo Renn.", quote="built in 1412 by the monk Aldo Renn")
    checks = {
        "checks": [
            {"sentence": 1, "reason": "the passage says the reverse", "support": "unsupported"},
            {"sentence": 2, "reason": "sounds right", "support": "supported"},
        ]
    }
    checker = scripted(checks)

    answer = await written(Statements(statements=[swapped, PRICE]), checker=checker)

    assert [support for _, support in marks(answer)] == ["unsupported", "unsupported"]
    assert answer.support[0].reason == "the passage says the reverse"
    assert "900" in answer.support[1].reason
    assert "[2] It cost 900 ducats from Venice." in checker.calls[0].prompt


@pytest.mark.parametrize("checker", [scripted("no JSON at all"), scripted(level="small")])
async def test_a_checker_that_cannot_judge_changes_nothing(checker: ScriptedModel) -> None:
    answer = await written(Statements(statements=[RENN]), checker=checker)

    assert marks(answer) == [(RENN.statement, "supported")]


def test_a_policy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(GraphSetupError, match="show, remove, rewrite"):
        Writer(scripted(), unsupported="hide")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


PIECES = st.sampled_from(
    [
        "The harbour",
        "cost 300 guilders",
        ".",
        " ",
        "\n",
        "\n\n",
        "# Title\n",
        "- item ",
        "1600",
        "é—x",
        "Renn!",
        "| a | b |",
    ]
)
TEXT = st.lists(PIECES, min_size=1, max_size=10).map("".join)


@settings(max_examples=150, deadline=None)
@given(statements=st.lists(TEXT, min_size=1, max_size=4), policy=st.sampled_from(["show", "remove", "rewrite"]))
async def test_marks_lie_in_the_text_in_order_and_every_quote_in_its_source(statements: list[str], policy: str) -> None:
    said = Statements(statements=[Statement(statement=one, quote="It cost 300 guilders") for one in statements])

    answer = await written(said, said, unsupported=policy)

    ends = [0, *(one.end for one in answer.support)]
    assert all(
        before <= one.start < one.end <= len(answer.text) for before, one in zip(ends, answer.support, strict=False)
    )
    assert all(verify(citation, SOURCE) for citation in answer.citations)
    assert all(0 <= number < len(answer.citations) for one in answer.support for number in one.citations)
    if policy != "show":
        assert answer.unsupported == []
