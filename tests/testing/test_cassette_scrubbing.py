"""What a recording may not hold is replaced; what only looks like it stays."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.testing.cassettes import Scrubber
from collegium.testing.cassettes.differing import difference, words_changed

KEY = "sk-proj-Zz9yXw8vUu7tSs6rQq5pOo4n"
ENVIRONMENT = {"SERVICE_TOKEN": 'pa"ss\\wörd 1', "OLLAMA_API_KEY": "ollama", "SSH_AUTH_SOCK": "/run/agent.sock"}


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "sk-ant-api03-abcdefghijklmnop_qrs",
        "github_pat_11ABCDEFG0123456789_abcdef",
        "xoxb-1234567890-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "hf_abcdefghijklmnopqrstuvwx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_keys_are_known_by_their_shape(text: str) -> None:
    assert Scrubber(environment={}).text(f"it is {text}, keep it") == "it is <key>, keep it"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer <key>"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', '{"authorization": "Basic <key>"}'),
        ("http://host/v1?api_key=abcdef123&n=1", "http://host/v1?api_key=<key>&n=1"),
        ("openai-compatible:m@https://ada:secret@host/v1", "openai-compatible:m@https://<key>@host/v1"),
    ],
)
def test_values_of_headers_and_addresses_are_replaced(text: str, clean: str) -> None:
    assert Scrubber(environment={}).text(text) == clean


def test_a_value_of_the_environment_is_found_in_json_in_urls_and_in_basic_authorisation() -> None:
    scrub, value = Scrubber(environment=ENVIRONMENT), ENVIRONMENT["SERVICE_TOKEN"]

    for form in (value, json.dumps(value)[1:-1], "pa%22ss%5Cw%C3%B6rd%201", base64.b64encode(value.encode()).decode()):
        assert "<SERVICE_TOKEN>" in scrub.text(f"x {form} y")
        assert form.rstrip("=") not in scrub.text(f"x {form} y")


def test_words_that_a_prompt_may_hold_are_left_alone() -> None:
    text = "ollama listens at /run/agent.sock; the key is under the mat, sk-8, task-force, bearer of news"

    assert Scrubber(environment=ENVIRONMENT).text(text) == text


def test_values_that_the_user_names_are_replaced_everywhere() -> None:
    scrub = Scrubber({"CUSTOMER": "Ada"}, environment={"CITY": "Turin", "COLLEGIUM_SCRUB": "CITY"})

    assert scrub.json({"Ada": ["of Turin", {"api_key": "short"}]}) == {
        "<CUSTOMER>": ["of <CITY>", {"api_key": "<key>"}]
    }
    assert Scrubber(["Ada"], environment={}).text("Ada") == "<secret>"


@given(st.text() | st.sampled_from([KEY, f"Bearer {KEY}", f"api_key={KEY}", f"https://a:{KEY}@b"]))
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    scrub = Scrubber(environment=ENVIRONMENT)

    assert scrub.text(scrub.text(text)) == scrub.text(text)


# -- differences --------------------------------------------------------------------------------------


def test_a_difference_names_the_place_and_the_words() -> None:
    old = {"messages": [{"content": "The quick brown fox jumps over the lazy dog. " * 50 + "It is late."}], "n": 1}
    new = {"messages": [{"content": "The quick brown fox jumps over the lazy dog. " * 50 + "It is early."}], "n": 2}

    shown = difference(old, new)

    assert shown.startswith("messages[0].content: ")
    assert "It is [-late-]{+early+}." in shown
    assert shown.endswith("n: [-1-]{+2+}")
    assert len(shown) < 200


def test_items_that_came_and_went_are_named() -> None:
    assert difference(["a"], ["a", "b"]) == "[1]: {+b+}"
    assert difference({"tools": ["a", "b"]}, {"tools": ["a"]}) == "tools[1]: [-b-]"


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_difference_of_words_is_shown_exactly_when_there_is_one(old: str, new: str) -> None:
    assert (words_changed(old, new) == "") == (old == new)
