"""Placeholders in place of sensitive text: idempotent, reversible, and the same for a text that comes in pieces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.guardrails import PLACEHOLDER, Redactor, Secrets, restore

REDACTOR = Redactor()

SENSITIVE = [
    "ada@example.org",
    "4111 1111 1111 1111",
    "4111111111111111",
    "GB82 WEST 1234 5698 7654 32",
    "192.168.10.1",
    "2001:db8::8a2e:370:7334",
    "078-05-1120",
    "+41 44 668 18 00",
    "password: hunter2hunter2",
    "https://bob:s3cr3t@host.example/x",
    "ghp_" + "a1B2" * 9,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\n-----END RSA PRIVATE KEY-----",
]
FILLERS = [
    "",
    " ",
    "\n",
    ", ",
    "x",
    "7",
    "-",
    ".",
    ":",
    "@",
    "call ",
    "[EMAIL_1]",
    "[CARD_2]",
    "[",
    "]",
    "的",
    "my card ",
]
texts = st.lists(st.sampled_from(SENSITIVE) | st.sampled_from(FILLERS) | st.text(max_size=8), max_size=12).map("".join)
WORDS = ["and then ", "\n", "的", "Note: ", ", or so, ", "x ", "(", ") ", "as was said in a longer sentence before, "]
spoken_texts = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([*SENSITIVE, ""]), st.just(" ok.")), max_size=16
)
plain_texts = spoken_texts.map(lambda parts: "".join(piece for part in parts for piece in part))
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(4111111111111111) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("text", SENSITIVE)
def test_what_is_sensitive_leaves_the_text(text: str) -> None:
    redacted = REDACTOR.redact(f"Note: {text} was given.")
    assert redacted.changed
    assert PLACEHOLDER.search(redacted.value)
    assert not any(str(original) in redacted.value for original in redacted.mapping.values())


@settings(deadline=None, max_examples=25, derandomize=True)
@given(values)
def test_redacting_twice_changes_no_more_than_once(value: Any) -> None:
    once = REDACTOR.redact(value)
    twice = REDACTOR.redact(once.value, once.mapping)
    assert twice.value == once.value
    assert twice.mapping == once.mapping
    assert REDACTOR.redact(once.value).value == once.value


@settings(deadline=None, max_examples=25, derandomize=True)
@given(values)
def test_what_was_redacted_can_be_restored(value: Any) -> None:
    redacted = REDACTOR.redact(value)
    assert restore(redacted.value, redacted.mapping) == value


@settings(deadline=None, max_examples=25, derandomize=True)
@given(plain_texts, st.data())
def test_a_text_in_pieces_becomes_what_the_whole_becomes(text: str, data: st.DataObject) -> None:
    stream, passed, rest = REDACTOR.stream(), "", text
    while rest:
        size = data.draw(st.integers(1, 40))
        passed += stream.push(rest[:size])
        rest = rest[size:]
    passed += stream.end()
    assert _unnumbered(passed) == _unnumbered(REDACTOR.redact(text).value)
    assert restore(passed, stream.mapping) == text


def test_one_thing_keeps_its_placeholder_over_calls() -> None:
    first = REDACTOR.redact("Write to ada@example.org or bob@example.org.")
    second = REDACTOR.redact({"to": "bob@example.org", "cc": "eve@example.org"}, first.mapping)
    assert first.value == "Write to [EMAIL_1] or [EMAIL_2]."
    assert second.value == {"to": "[EMAIL_2]", "cc": "[EMAIL_3]"}


def test_a_placeholder_that_the_text_brings_along_stands_for_nothing() -> None:
    redacted = REDACTOR.redact("[EMAIL_1] is not ada@example.org")
    assert redacted.value == "[EMAIL_1] is not [EMAIL_2]"
    assert restore("[EMAIL_1]", redacted.mapping) == "[EMAIL_1]"


def test_a_card_as_a_json_number_comes_back_as_a_number() -> None:
    redacted = REDACTOR.redact({"card": 4111111111111111, "amount": 1700000000, "paid": True})
    assert redacted.value == {"card": "[CARD_1]", "amount": 1700000000, "paid": True}
    assert restore(redacted.value, redacted.mapping)["card"] == 4111111111111111


def test_overlapping_findings_leave_no_rest() -> None:
    redacted = REDACTOR.redact("the password is 4111-1111-1111-1111-tail9")
    assert "1111" not in redacted.value
    assert "tail9" not in redacted.value


def test_a_secret_of_the_application_is_found_in_any_form_of_text() -> None:
    redactor = Redactor([Secrets(known=["correct horse"])])
    assert redactor.redact("say: correct horse battery").value == "say: [SECRET_1] battery"


def test_a_stream_passes_text_on_before_its_end() -> None:
    stream = REDACTOR.stream()
    passed = [stream.push("word and word ") for _ in range(40)]
    assert len("".join(passed)) > 400
    chinese = REDACTOR.stream()
    assert len("".join(chinese.push("没有空格的文字") for _ in range(60))) > 200


def test_a_key_block_is_held_until_it_is_whole() -> None:
    stream = REDACTOR.stream()
    lines = [
        "-----BEGIN PRIVATE KEY-----\n",
        *["QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n"] * 60,
        "-----END PRIVATE KEY-----\n",
    ]
    passed = "".join(stream.push(line) for line in lines) + stream.end()
    assert passed == "[SECRET_1]\n"


def _unnumbered(text: str) -> str:
    return PLACEHOLDER.sub(lambda match: match[0].rpartition("_")[0], text)
