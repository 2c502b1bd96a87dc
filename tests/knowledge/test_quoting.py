"""Quotes: the sentence that answers, how many are quoted, and where they stand."""

import pytest

from collegium.knowledge import HashEmbedder, Passage, best_sentences, verify
from collegium.knowledge.questions import Question

TEXT = (
    "The harbour of Tarn was built in 1931 by Helen Tarr. It opens at six in the morning. "
    "A berth costs 40 crowns a night. The lighthouse is painted red and white."
)
HARBOUR = Passage(passage_id="p1", source="harbour.md", start=100, end=100 + len(TEXT), text=TEXT, score=1.0)
FIELDS = (
    "Name: lumen\nVersion: 2.1\nSummary: Light for ships\nLicense: MIT\nAuthor: Helen Tarr\nRequires-Python: >=3.10"
)
METADATA = Passage(
    passage_id="p2", source="METADATA", start=22, end=22 + len(FIELDS), text=FIELDS, heading="lumen", score=1.0
)
CODE = "Lumen reads signals.\n\n```python\nimport lumen\nlumen.light()\n```\n\nCall it at dusk."
USAGE = Passage(
    passage_id="p3", source="METADATA", start=500, end=500 + len(CODE), text=CODE, heading="lumen", score=0.6
)


async def best(question: str, *passages: Passage) -> str:
    quotes = await best_sentences(question, passages, embedder=HashEmbedder())
    return quotes.sentences[0].text


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who built the harbour of Tarn?", "1931 by Helen Tarr"),
        ("What does a berth cost for a night?", "40 crowns"),
        ("What colour is the lighthouse painted?", "red and white"),
    ],
)
async def test_the_best_sentence_of_prose_holds_the_answer(question: str, answer: str) -> None:
    assert answer in await best(question, HARBOUR)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which licence has lumen?", "License: MIT"),
        ("Who wrote lumen?", "Author: Helen Tarr"),
        ("Which Python versions does lumen support?", "Requires-Python: >=3.10"),
        ("What is lumen?", "Summary: Light for ships"),
        ("What is lumen used for?", "Summary: Light for ships"),
        ("What is the current version of lumen?", "Version: 2.1"),
    ],
)
async def test_the_best_field_of_metadata_is_the_answer(question: str, answer: str) -> None:
    assert await best(question, METADATA, USAGE) == answer


RULES = "Some conditions apply to being a member of the choir. Each member must be over 18 and live in Tarn."
CHOIR = Passage(passage_id="p4", source="choir.md", start=0, end=len(RULES), text=RULES, score=1.0)
TABLE = "| program | peak | use |\n|---|---|---|\n| P1 | 960 | bisque of thin ware |\n| P4 | 1280 | porcelain glaze |"
KILN = Passage(passage_id="p5", source="kiln.md", start=0, end=len(TABLE), text=TABLE, score=1.0)
INSTALL = "Lumen is installed from the index.\n\n```sh\npip install lumen\n```\n\nInstalling lumen takes a minute."
SETUP = Passage(passage_id="p6", source="METADATA", start=0, end=len(INSTALL), text=INSTALL, heading="lumen", score=1.0)


@pytest.mark.parametrize(
    ("question", "passage", "answer"),
    [
        ("How old must a member of the choir be?", CHOIR, "over 18"),
        ("What is the peak of program P4?", KILN, "1280"),
        ("How do I install lumen?", SETUP, "pip install lumen"),
    ],
)
async def test_the_form_of_the_question_says_what_may_answer_it(question: str, passage: Passage, answer: str) -> None:
    assert answer in await best(question, passage)


async def test_a_field_that_was_not_asked_for_does_not_answer_by_the_name_of_its_document() -> None:
    assert await best("What does lumen read?", METADATA, USAGE) == "Lumen reads signals."


async def test_each_sentence_stands_where_it_says() -> None:
    quotes = await best_sentences("When does the harbour open?", [HARBOUR], embedder=HashEmbedder())
    source = " " * 100 + TEXT
    assert all(verify(sentence.citation(), source) for sentence in quotes.ranked)
    assert len(quotes.ranked) == 4


async def test_a_wide_margin_quotes_one_sentence_and_a_narrow_one_three() -> None:
    sure = await best_sentences("A berth costs how many crowns a night?", [HARBOUR], embedder=None)
    unsure = await best_sentences("What about ferries?", [HARBOUR], embedder=None)
    assert (sure.confidence, len(sure.sentences)) == ("confident", 1)
    assert (unsure.confidence, len(unsure.sentences)) == ("uncertain", 3)
    assert sure.margin >= 0.4 > 0.2 > unsure.margin
    assert len((await best_sentences("What?", [HARBOUR], embedder=None, at_most=2)).sentences) == 2


async def test_quotes_are_shown_in_reading_order() -> None:
    quotes = await best_sentences("What about ferries?", [HARBOUR], embedder=None)
    places = [TEXT.index(line) for line in quotes.text.splitlines()]
    assert places == sorted(places)


async def test_the_same_words_twice_count_once() -> None:
    again = HARBOUR.model_copy(update={"passage_id": "p9", "source": "copy.md"})
    one = await best_sentences("Who built the harbour of Tarn?", [HARBOUR], embedder=None)
    two = await best_sentences("Who built the harbour of Tarn?", [HARBOUR, again], embedder=None)
    assert [s.text for s in one.ranked] == [s.text for s in two.ranked]


async def test_nothing_is_quoted_from_nothing() -> None:
    quotes = await best_sentences("Who?", [], embedder=None)
    assert (quotes.sentences, quotes.confidence, quotes.text) == ((), "uncertain", "")


async def test_code_answers_only_who_asks_for_code() -> None:
    assert await best("How do I import lumen in code?", USAGE) == "import lumen"
    assert not (await best("What does lumen read?", USAGE)).startswith("import")


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("What is Lumen?", {"lumen"}),
        ("What does lumen do?", {"lumen"}),
        ("What's the purpose of lumen?", {"lumen"}),
        ("what is lumen used for", {"lumen"}),
        ("Which licence has lumen?", set[str]()),
        ("When does it open?", set[str]()),
    ],
)
def test_a_question_for_a_definition_is_recognised(question: str, subject: set[str]) -> None:
    assert Question.read(question).subject == subject
