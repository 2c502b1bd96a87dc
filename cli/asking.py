"""Approvals at the terminal: the question shown whole, the answer read, the default no."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from .inputs import read_value
from .text import one_line, outline
from .views import hanging

if TYPE_CHECKING:
    from rich.console import Console

    from ..runs import Approval, Decision

_LETTERS = {
    "y": "approve",
    "n": "reject",
    "e": "edit",
    "r": "respond",
    "h": "happened",
    "d": "not_happened",
    "t": "retry",
    "x": "extend",
    "a": "always",
}
_OFFERS = {
    "approve": "[y] approve",
    "edit": "[e] edit",
    "reject": "[n] reject",
    "respond": "[r] respond",
    "happened": "[h] it happened",
    "not_happened": "[d] it did not happen",
    "retry": "[t] try it again",
    "extend": "[x] extend the budget",
}
_TITLES = {
    "tool_call": "May this call be made?",
    "review": "Please review",
    "in_doubt": "Did this happen? The process ended between the call and its result",
    "budget": "The budget is spent",
    "input": "A question",
}


_VARY = "Which arguments may differ, as name=pattern with commas between (empty: none): "


class Dialogue(Protocol):
    """How words reach the person and come back."""

    async def line(self, prompt: str) -> str:
        """One line that the person types.

        Raises:
            EOFError: The person closed the terminal's input.
        """
        ...

    async def edited(self, text: str) -> str | None:
        """The text after the person changed it in an editor; None where there is no editor."""
        ...


class Asker:
    """Asks the person at the terminal about one approval after the other."""

    def __init__(self, console: Console, dialogue: Dialogue, by: str) -> None:
        self._console, self._dialogue, self._by = console, dialogue, by

    async def decide(self, approval: Approval) -> Decision | None:
        """The person's decision, or None to leave it for later."""
        self._show(approval)
        while True:
            try:
                word = await self._word(approval)
                if word is None:
                    return None
                return await self._decision(word, approval)
            except EOFError:
                return None
            except _Again as again:
                self._console.print(one_line(str(again)), style="yellow")

    def _show(self, approval: Approval) -> None:
        from rich.text import Text

        self._console.print()
        self._console.rule(Text(_TITLES[approval.kind], style="bold yellow"), align="left", style="yellow")
        for line in outline(approval.payload, 1):
            self._console.print(hanging(Text(line)))
        if approval.expires_at:
            self._console.print(f"  expires {approval.expires_at:%Y-%m-%d %H:%M} UTC", style="dim")

    async def _word(self, approval: Approval) -> str | None:
        allowed = approval.allowed
        if allowed == ("respond",):
            return "respond"
        offers = "  ".join(_OFFERS[word] for word in allowed)
        if always := approval.kind == "tool_call" and "approve" in allowed:
            offers += "  [a] always in this run"
        default = "reject" if "reject" in allowed else None
        shown = "n" if default else "later"
        said = (await self._dialogue.line(f"{offers}  [l] later  (default {shown}): ")).strip().lower()
        if not said:
            return default
        if said in ("l", "later", "q"):
            return None
        word = _LETTERS.get(said, {"no": "reject", "yes": "approve"}.get(said, said.replace("-", "_")))
        if word not in allowed and not (always and word == "always"):
            raise _Again(f"{said!r} is not an answer here.")
        return word

    async def _decision(self, word: str, approval: Approval) -> Decision:
        content: Any = None
        match word:
            case "always":
                content = _patterns(await self._dialogue.line(_VARY))
            case "edit":
                content = await self._edited(editable(approval))
            case "reject":
                content = (await self._dialogue.line("Reason (may be empty): ")).strip()
            case "respond":
                content = read_answer(await self._dialogue.line("Answer: "), approval.schema)
            case "happened":
                content = (await self._dialogue.line("What came of it (may be empty): ")).strip()
            case "extend":
                content = _amount(await self._dialogue.line("By how much: "))
            case _:
                pass
        return make_decision(word, content, self._by)

    async def _edited(self, value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        changed = await self._dialogue.edited(text)
        if changed is None:
            self._console.print(json.dumps(value, ensure_ascii=False), highlight=False, style="dim")
            changed = await self._dialogue.line("As JSON, or name=value to change one part: ")
        try:
            return changed_value(value, changed)
        except ValueError as error:
            raise _Again(f"Not changed: {error}") from error


class _Again(Exception):
    """What was typed is no answer; ask once more."""


def editable(approval: Approval) -> Any:
    """What an edit replaces: a call's arguments, the value under review, or what a plain interrupt handed over."""
    payload = approval.payload
    return next((payload[part] for part in ("args", "value", "prompt") if part in payload), None)


def changed_value(value: Any, text: str) -> Any:
    """What an edit makes of a value: JSON that replaces it, or `name=value` that changes one part of it.

    Raises:
        ValueError: The text is neither.
    """
    text = text.strip()
    name, equals, part = text.partition("=")
    if equals and isinstance(value, Mapping) and name.strip() in value:
        whole = cast("Mapping[str, Any]", value)
        return {**whole, name.strip(): _same_kind(whole[name.strip()], part.strip())}
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error


def patterns_of(settings: Iterable[str]) -> dict[str, str]:
    """Arguments that may differ, each with its pattern, from `name=pattern`; a name alone takes any value.

    Raises:
        ValueError: A pattern stands there without a name.
    """
    found: dict[str, str] = {}
    for setting in filter(str.strip, settings):
        name, _, pattern = setting.partition("=")
        if not name.strip():
            raise ValueError(f"{setting.strip()!r} names no argument; give name=pattern")
        found[name.strip()] = pattern.strip() or "*"
    return found


def read_answer(text: str, schema: Mapping[str, Any] | None) -> Any:
    """A typed answer as JSON where a schema asks for more than text, else the text itself."""
    if schema is None or schema.get("type") == "string":
        return text.strip()
    return read_value(text.strip())


def make_decision(word: str, content: Any, by: str) -> Decision:
    """The decision that a word and its content make.

    Args:
        word: One of the decision words, with `_`.
        content: The edit's value, the reason, the answer, the result, the amount, or what may differ for always.
        by: Who decides.
    """
    from ..runs import decisions

    match word:
        case "always":
            return decisions.Approve(by=by, standing=content)
        case "edit":
            return decisions.Edit(content, by=by)
        case "reject":
            return decisions.Reject(content or "", by=by)
        case "respond":
            return decisions.Respond(content, by=by)
        case "happened":
            return decisions.Happened(content or "", by=by)
        case "not_happened":
            return decisions.NotHappened(by=by)
        case "retry":
            return decisions.Retry(by=by)
        case "extend":
            return decisions.Extend(float(content), by=by)
        case _:
            return decisions.Approve(by=by)


def _same_kind(old: Any, text: str) -> Any:
    return text if isinstance(old, str) else read_value(text)


def _patterns(text: str) -> dict[str, str]:
    try:
        return patterns_of(text.split(","))
    except ValueError as error:
        raise _Again(f"Not given: {error}.") from error


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _Again(f"{text.strip()!r} is not a number.") from error
