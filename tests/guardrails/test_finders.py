"""What the finders of personal data and of secrets take for sensitive, and what they leave alone."""

from __future__ import annotations

import pytest

from collegium.guardrails import PersonalData, Redactor, Secrets

PERSONAL = [
    ("write to Ada.Lovelace+x@mail.example.co.uk.", "email", "Ada.Lovelace+x@mail.example.co.uk"),
    ("pay with 5555-5555-5555-4444 please", "card", "5555-5555-5555-4444"),
    ("amex 378282246310005", "card", "378282246310005"),
    ("hidden 4111\u200b1111\u200b1111\u200b1111", "card", "4111\u200b1111\u200b1111\u200b1111"),
    ("iban de89 3704 0044 0532 0130 00 it is", "iban", "de89 3704 0044 0532 0130 00"),
    ("IBAN: FR1420041010050500013M02606", "iban", "FR1420041010050500013M02606"),
    ("卡号4111111111111111的", "card", "4111111111111111"),
    ("联系ada@example.org吧", "email", "ada@example.org"),
    ("电话138 1234 5678。", "phone", "138 1234 5678"),
    ("ssh to 10.20.30.40, port 22", "ip", "10.20.30.40"),
    ("from fe80::1ff:fe23:4567:890a it came", "ip", "fe80::1ff:fe23:4567:890a"),
    ("SSN 219-09-9999", "ssn", "219-09-9999"),
    ("my social security number is 219099999", "ssn", "219099999"),
    ("call 020 7946 0958 today", "phone", "020 7946 0958"),
    ("+49 (0)30 901820 is ours", "phone", "+49 (0)30 901820"),
    ("Fax: (602)272-9781 x12", "phone", "(602)272-9781 x12"),
]
ORDINARY = [
    "4111 1111 1111 1112 fails its check digit",
    "GB82 WEST 1234 5698 7654 33 fails its check digits",
    "On 2024-05-01 10:20:30 it was 12/31/1999",
    "std::vector<int> and a::b",
    "version 1.2.3.4 of 300.1.2.3",
    "He sold 48 clips, then 1,234,567 more for $12,345,678.90",
    "17151 2450 Crown Street",
    "order 5130634 and licence 2270-66-1551",
    "000-12-3456 and 666-12-3456 were never given out",
    "3.14159265358979323846",
]
SECRETS = [
    ("key sk-proj-abcDEF123456abcDEF123456 ok", "sk-proj-abcDEF123456abcDEF123456"),
    ("aws AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("postgres://app:pa55w0rd!@db/x", "pa55w0rd!"),
    ('{"api_key": "zq81-fj20-aa"}', "zq81-fj20-aa"),
    ("The password is Tr0ub4dor.", "Tr0ub4dor"),
    ("Das Passwort ist Tr0ub4dor", "Tr0ub4dor"),
    ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
    ),
]
HARMLESS = [
    "The password is required and the token is a string.",
    "password = os.environ['DB_PASSWORD']",
    "api_key: your-api-key-here",
    "commit 9fceb02c1e0f8b0e2d2c6d4f5a6b7c8d9e0f1a2b",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "https://example.org:8080/a@b",
]


@pytest.mark.parametrize(("text", "kind", "wanted"), PERSONAL)
def test_personal_data_is_found_whole(text: str, kind: str, wanted: str) -> None:
    assert [(one.kind, text[one.start : one.end]) for one in PersonalData()(text)] == [(kind, wanted)]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_numbers_are_left_alone(text: str) -> None:
    assert PersonalData()(text) == []


def test_numbers_in_a_row_are_told_apart() -> None:
    text = "4111 1111 1111 1111 5555 5555 5555 4444 GB82 WEST 1234 5698 7654 32 x DE89 3704 0044 0532 0130 00"
    assert [one.kind for one in PersonalData(["card", "iban"])(text)] == ["card", "card", "iban", "iban"]


def test_kinds_can_be_chosen() -> None:
    text = "ada@example.org, 10.20.30.40"
    assert [one.kind for one in PersonalData(["ip"])(text)] == ["ip"]


@pytest.mark.parametrize(("text", "wanted"), SECRETS)
def test_secrets_are_found_whole(text: str, wanted: str) -> None:
    found = {text[one.start : one.end] for one in Secrets()(text)}
    assert max(found, key=len) == wanted


@pytest.mark.parametrize("text", HARMLESS)
def test_text_about_secrets_is_left_alone(text: str) -> None:
    assert Secrets()(text) == []


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1-", "a@a.", "f:", "(1)", "de12 abcd ", "password: ", "x://a:b", "eyJ", "0.0."]
)
def test_a_long_repetition_is_no_riddle(piece: str) -> None:
    """A pattern that can be matched in many ways would not come back from these within a lifetime."""
    assert Redactor().redact(piece * 2000).value
