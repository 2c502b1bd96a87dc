"""What the terminal shows is whole, and cannot move the cursor or hide a word."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.cli.terminal import make_console
from collegium.cli.text import clean, one_line, outline, plural, print_json, shortened

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=8), part, max_size=4),
    max_leaves=12,
)


def test_escape_sequences_are_spelled_out() -> None:
    assert clean("a\x1b[2Jb\rc\x9bd") == "a\\x1b[2Jb\\x0dc\\x9bd"


def test_marks_that_reorder_text_are_spelled_out() -> None:
    assert clean("pay \u202e001 to\u2066 me\u200b") == "pay \\u202e001 to\\u2066 me\\u200b"


def test_half_a_surrogate_pair_which_no_stream_takes_is_spelled_out() -> None:
    assert clean("a\ud800b") == "a\\ud800b"


def test_umlauts_tabs_and_line_feeds_stay() -> None:
    assert clean("für\t漢字\n😀") == "für\t漢字\n😀"


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    assert all(char in "\n\t" or (ord(char) >= 0x20 and not 0x7F <= ord(char) <= 0x9F) for char in clean(text))


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(JSON)
def test_an_outline_holds_every_word_of_the_value(value: object) -> None:
    shown = "\n".join(outline(value))

    for text in leaves(value):
        for line in clean(text).split("\n"):
            assert line in shown or json.dumps(text) in shown


def leaves(value: object) -> list[str]:
    """All texts in a JSON value."""
    match value:
        case str():
            return [value]
        case list():
            return [text for part in value for text in leaves(part)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case dict():
            return [text for part in value.values() for text in leaves(part)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return []


def test_an_outline_reads_like_a_form() -> None:
    value: dict[str, object] = {
        "to": "ada@example.org",
        "parts": [{"amount": 20, "note": "one\ntwo"}, "rest"],
        "empty": {},
    }

    assert outline(value, 1) == [
        "  to: ada@example.org",
        "  parts:",
        "    - amount: 20",
        "      note:",
        "        one",
        "        two",
        "    - rest",
        "  empty: {}",
    ]


def test_a_line_is_cut_with_an_ellipsis_and_never_too_long() -> None:
    assert shortened("one two\nthree four", 11) == "one two th…"
    assert shortened("short", 11) == "short"


def test_one_line_joins_and_cleans() -> None:
    assert one_line("a\n  b\x07") == "a b\\x07"


def test_plurals() -> None:
    assert (plural(1, "run"), plural(0, "run"), plural(1200, "token")) == ("1 run", "0 runs", "1,200 tokens")


def test_json_for_machines_holds_no_control_and_reads_back_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    odd = {"a\x9b31m": "\x7f\u202e\U000e0041\ud800 ÄÖ\n"}

    print_json(odd)
    shown = capsys.readouterr().out

    assert not {"\x9b", "\x7f", "\u202e", "\U000e0041", "\ud800"} & set(shown)
    assert "ÄÖ" in shown
    assert json.loads(shown) == odd


def test_a_console_cleans_what_its_maker_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("a\x17b")
    table.add_row("c\x9bd")
    make_console().print("e\x1b[2Jf", table)
    shown = capsys.readouterr().out
    assert "e\\x1b[2Jf" in shown
    assert not set("\x17\x9b\x1b") & set(shown)
