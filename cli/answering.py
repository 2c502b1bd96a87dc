"""`inbox` and `answer`: what waits for a person, and the decision, from any terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidDecision, InvalidInput, UnknownApproval
from .asking import changed_value, editable, make_decision, patterns_of, read_answer
from .failures import DONE
from .opening import graph_of_run, open_runner, person, store_url, tell_damage
from .running import RunOptions, report
from .shapes import approval_json
from .terminal import make_console
from .text import outline, plural, print_json

if TYPE_CHECKING:
    from ..runs import Approval, Decision


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was typed."""

    word: str
    content: str | None
    settings: Sequence[str]
    by: str | None
    digest: str | None


def inbox(*, db: str | None, as_json: bool) -> int:
    """Show everything that waits."""
    approvals = asyncio.run(_waiting(store_url(db)))
    if as_json:
        print_json([approval_json(approval) for approval in approvals])
        return DONE
    console = make_console()
    for approval in approvals:
        console.print(f"{approval.approval_id}  {approval.kind}  of {approval.run_id}", style="bold")
        for line in outline(approval.payload, 1):
            console.print(line)
        words = ", ".join(word.replace("_", "-") for word in approval.allowed)
        console.print(f"  digest {approval.digest[:12]}  answers: {words}\n", style="dim")
    console.print(f"{plural(len(approvals), 'approval')} waiting.", style="dim")
    return DONE


def answer(approval_id: str, given: Given, *, model: str | None, db: str | None, as_json: bool) -> int:
    """Record a decision and move the run on, unless a live worker does."""
    url = store_url(db)
    if url is None:
        raise UnknownApproval(approval_id)
    options = RunOptions(model=model, yes=False, by=given.by, db=db, as_json=as_json)
    run = asyncio.run(_answer(url, approval_id, given, model))
    return report(make_console(), run, options)


async def _waiting(url: str | None) -> Sequence[Approval]:
    if url is None:
        return ()
    async with open_runner(url) as runner:
        found = await runner.inbox()
        tell_damage(runner, found)
        return found


async def _answer(url: str, approval_id: str, given: Given, model: str | None) -> Any:
    async with open_runner(url) as reader:
        approval = await reader.approval(approval_id)
    decision = decision_of(approval, given)
    graph = await graph_of_run(url, approval.run_id)
    async with open_runner(url, [graph], model) as runner:
        return await runner.answer(approval_id, decision, digest=whole_digest(approval, given.digest))


def decision_of(approval: Approval, given: Given) -> Decision:
    """The decision that was typed.

    Raises:
        InvalidDecision: Its content does not fit the word.
    """
    content: Any = given.content
    match given.word:
        case "edit":
            content = _edit(approval, given)
        case "respond":
            if given.content is None:
                raise InvalidDecision(approval.approval_id, "respond needs the answer: answer ID respond TEXT.")
            content = read_answer(given.content, approval.schema)
        case "always":
            content = _patterns(approval, given.settings)
        case "extend":
            content = _amount(approval, given.content)
        case _:
            pass
    return make_decision(given.word, content, person(given.by))


def whole_digest(approval: Approval, given: str | None) -> str | None:
    """The digest to hold the decision against: what was given, completed where its beginning fits."""
    if given and len(given) >= 8 and approval.digest.startswith(given):
        return approval.digest
    return given or approval.digest


def _edit(approval: Approval, given: Given) -> Any:
    value = editable(approval)
    if given.content is None and not given.settings:
        raise InvalidDecision(approval.approval_id, "edit needs the new content: JSON, or --set name=value.")
    try:
        if given.content is not None:
            value = changed_value(value, given.content)
        for setting in given.settings:
            name, equals, _ = setting.partition("=")
            if not equals or name.strip() not in (value or {}):
                raise InvalidInput("--set", f"{setting!r} does not name a part of what is edited.")
            value = changed_value(value, setting)
    except ValueError as error:
        raise InvalidDecision(approval.approval_id, f"the edit is refused: {error}.") from error
    return value


def _patterns(approval: Approval, settings: Sequence[str]) -> dict[str, str]:
    try:
        return patterns_of(settings)
    except ValueError as error:
        raise InvalidDecision(approval.approval_id, f"{error}.") from error


def _amount(approval: Approval, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise InvalidDecision(approval.approval_id, f"extend needs a number, not {text!r}.") from error
