"""Approvals at the terminal: shown whole, default no, edits checked before they are sent."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from collegium.cli.asking import Asker, changed_value, read_answer
from collegium.runs import Approval, Approve, Edit, Extend, Happened, NotHappened, Reject, Respond, Retry

CALL = {"tool": "pay_refund", "args": {"order_id": "A-1", "amount": 49.9}, "risk": "high", "trust": "untrusted"}


class Script:
    """A person who types from a list; `editor` is what their editor leaves."""

    def __init__(self, lines: Sequence[str], editor: str | None = None) -> None:
        self.lines, self.editor = list(lines), editor
        self.prompts: list[str] = []
        self.opened: list[str] = []

    async def line(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    async def edited(self, text: str) -> str | None:
        self.opened.append(text)
        return self.editor


def an_approval(
    kind: Any = "tool_call",
    payload: dict[str, Any] | None = None,
    allowed: tuple[Any, ...] = ("approve", "edit", "reject", "respond"),
    schema: dict[str, Any] | None = None,
) -> Approval:
    return Approval(
        approval_id="ap-1",
        run_id="run-1",
        thread_id="th-1",
        interrupt_id="i",
        kind=kind,
        payload=CALL if payload is None else payload,
        allowed=allowed,
        schema=schema,
        digest="d" * 64,
        state="pending",
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
        expires_at=None,
    )


async def ask(person: Script, approval: Approval) -> tuple[Any, str]:
    """The decision, and what was shown."""
    out = io.StringIO()
    decided = await Asker(Console(file=out, width=200), person, "ada").decide(approval)
    return decided, out.getvalue()


async def test_the_call_is_shown_whole_with_its_risk_and_trust() -> None:
    _, shown = await ask(Script(["n", ""]), an_approval())

    for text in ("pay_refund", "order_id: A-1", "amount: 49.9", "risk: high", "trust: untrusted"):
        assert text in shown


@pytest.mark.parametrize(
    ("typed", "decision"),
    [
        (["y"], Approve(by="ada")),
        (["yes"], Approve(by="ada")),
        (["approve"], Approve(by="ada")),
        (["a", ""], Approve(by="ada", standing={})),
        (["always", "amount, order_id=A-*"], Approve(by="ada", standing={"amount": "*", "order_id": "A-*"})),
        (["a", "=x", "y"], Approve(by="ada")),
        (["", "too much"], Reject("too much", by="ada")),
        (["n", ""], Reject("", by="ada")),
        (["r", "we pay half"], Respond("we pay half", by="ada")),
        (["l"], None),
        ([], None),
        (["what?", "y"], Approve(by="ada")),
    ],
)
async def test_what_is_typed_becomes_a_decision(typed: list[str], decision: Any) -> None:
    assert (await ask(Script(typed), an_approval()))[0] == decision


async def test_an_empty_line_means_no_and_never_yes() -> None:
    person = Script(["", ""])

    decision, _ = await ask(person, an_approval())

    assert isinstance(decision, Reject)
    assert "(default n)" in person.prompts[0]


async def test_where_nothing_can_be_rejected_an_empty_line_leaves_it_for_later() -> None:
    approval = an_approval("in_doubt", allowed=("happened", "not_happened", "retry"))

    assert (await ask(Script([""]), approval))[0] is None


@pytest.mark.parametrize(
    ("typed", "decision"),
    [
        (["h", "receipt 7"], Happened("receipt 7", by="ada")),
        (["d"], NotHappened(by="ada")),
        (["not-happened"], NotHappened(by="ada")),
        (["t"], Retry(by="ada")),
    ],
)
async def test_an_effect_in_doubt_is_settled(typed: list[str], decision: Any) -> None:
    approval = an_approval("in_doubt", allowed=("happened", "not_happened", "retry"))

    assert (await ask(Script(typed), approval))[0] == decision


async def test_a_budget_is_extended_by_a_number_and_asked_again_for_a_word() -> None:
    approval = an_approval("budget", {"limit": "tokens"}, ("extend", "reject"))

    decision, shown = await ask(Script(["x", "lots", "x", "500"]), approval)

    assert decision == Extend(500.0, by="ada")
    assert "'lots' is not a number" in shown


async def test_an_edit_in_the_editor_replaces_the_arguments() -> None:
    person = Script(["e"], editor='{"order_id": "A-1", "amount": 20}')

    decision, _ = await ask(person, an_approval())

    assert decision == Edit({"order_id": "A-1", "amount": 20}, by="ada")
    assert '"amount": 49.9' in person.opened[0]


async def test_without_an_editor_one_argument_can_be_changed_by_name() -> None:
    decision, _ = await ask(Script(["e", "amount=20"]), an_approval())

    assert decision == Edit({"order_id": "A-1", "amount": 20}, by="ada")


async def test_an_edit_that_is_not_json_is_asked_for_again() -> None:
    decision, shown = await ask(Script(["e", "twenty", "n", ""]), an_approval())

    assert isinstance(decision, Reject)
    assert "Not changed: it is not JSON" in shown


async def test_a_question_that_only_takes_an_answer_is_answered_directly() -> None:
    approval = an_approval("input", {"prompt": "What shall we reply?"}, ("respond",), {"type": "string"})
    person = Script(["We are sorry."])

    decision, shown = await ask(person, approval)

    assert decision == Respond("We are sorry.", by="ada")
    assert person.prompts == ["Answer: "]
    assert "What shall we reply?" in shown


async def test_control_characters_of_a_call_cannot_reach_the_terminal() -> None:
    hostile = {**CALL, "args": {"to": "x\x1b[2K\x1b[1A\rharmless\u202e"}}

    _, shown = await ask(Script(["n", ""]), an_approval(payload=hostile))

    assert "\x1b" not in shown
    assert "\\x1b[2K" in shown
    assert "\\u202e" in shown


async def test_markup_in_a_call_is_shown_and_not_obeyed() -> None:
    _, shown = await ask(Script(["n", ""]), an_approval(payload={"tool": "t", "args": {"a": "[red]x[/red]"}}))

    assert "[red]x[/red]" in shown


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("amount=20", {"order_id": "A-1", "amount": 20}),
        ("order_id=B=2", {"order_id": "B=2", "amount": 49.9}),
        ('{"amount": 1}', {"amount": 1}),
    ],
)
def test_an_edit_changes_one_part_or_everything(text: str, changed: object) -> None:
    assert changed_value(CALL["args"], text) == changed


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [("5", None, "5"), ("5", {"type": "string"}, "5"), ("5", {"type": "integer"}, 5), ("a", {"type": "integer"}, "a")],
)
def test_an_answer_is_read_as_its_schema_asks(text: str, schema: dict[str, Any] | None, value: object) -> None:
    assert read_answer(text, schema) == value
