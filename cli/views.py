"""What the values of a run look like in the terminal.

Values are recognised by their shape as JSON, so a stored run looks the same as a live one and a user's own
type with the same fields looks as ours does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .text import clean, one_line, outline, plural, shortened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from ..runs import Run

Shape = tuple[frozenset[str], Callable[[Mapping[str, Any]], "Iterator[Text]"]]


def show_state(console: Console, state: Mapping[str, Any]) -> None:
    """Print the fields of a state, one after the other; what is empty is left out."""
    for name, value in state.items():
        if value is None or value in ([], {}, ""):
            continue
        console.print(_heading(name))
        for line in value_lines(value):
            console.print(hanging(line))


def hanging(line: Text) -> Padding | Text:
    """A line whose continuation, where it is too long, keeps its indentation."""
    from rich.padding import Padding

    if not line.plain.strip():
        return line  # padding would swallow an empty line
    indent = len(line.plain) - len(line.plain.lstrip(" "))
    return Padding(line[indent:], (0, 0, 0, indent), expand=False)


def value_lines(value: Any) -> Iterator[Text]:
    """A value as lines: plans, passages, answers, verdicts and results in a form of their own."""
    from rich.text import Text

    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    drawn = [(part, drawer) for part in parts if (drawer := _drawer(part)) is not None]
    if parts and len(drawn) == len(parts):
        for part, drawer in drawn:
            yield from drawer(part)
        return
    for line in outline(value, 1):
        yield Text(line)


def where(citation: Mapping[str, Any]) -> str:
    """Source and place of a quote: lines where the file can be read and holds it, else characters."""
    source, start, end = str(citation["source"]), int(citation["start"]), int(citation["end"])
    lines = _lines_of(source, start, end, str(citation.get("quote") or citation.get("text") or ""))
    page = f"page {citation['page']}, " if citation.get("page") else ""
    return f"{one_line(source)}, {page}{lines or f'characters {start:,} to {end:,}'}"


def short_source(source: str) -> str:
    """The end of a path that a reader needs to tell sources apart."""
    return one_line("/".join(Path(source).parts[-2:]))


def _heading(name: str) -> Text:
    from rich.text import Text

    return Text(f"\n{one_line(name)}", style="bold cyan")


def _drawer(value: Any) -> Callable[[Mapping[str, Any]], Iterator[Text]] | None:
    if not isinstance(value, Mapping):
        return None
    keys = set(cast("Mapping[str, Any]", value))
    return next((draw for needed, draw in _SHAPES if needed <= keys), None)


def _plan(plan: Mapping[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    for step in plan["steps"]:
        after = ", ".join(map(str, step.get("depends_on") or ()))
        who = step.get("tool") or step.get("agent") or ""
        yield Text.assemble(
            (f"  {one_line(str(step['id']))}  ", "bold"),
            clean(str(step["goal"])),
            (f"  [{one_line(str(who))}]" if who else "", "magenta"),
            (f"  after {one_line(after)}" if after else "", "dim"),
        )


def _passage(passage: Mapping[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    score = f"  {float(passage['score']):.2f}" if passage.get("score") else ""
    yield Text.assemble(
        "  ",
        (short_source(str(passage["source"])), "bold"),
        (score, "dim"),
        "  ",
        shortened(passage["text"], 100),
    )


def _answer(answer: Mapping[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    for line in clean(str(answer["text"])).split("\n"):
        shown = Text(f"  {line}", style="bold green")
        if answer.get("highlight"):
            shown.highlight_words([clean(str(answer["highlight"]))], style="reverse")
        yield shown
    yield from _doubts(answer)
    for number, citation in enumerate(answer["citations"], 1):
        yield Text.assemble((f"  [{number}] ", "cyan"), where(citation))
        yield Text(f"      “{one_line(str(citation['quote']))}”", style="dim")
    said = [str(answer[key]) for key in ("confidence", "model") if answer.get(key)]
    if said:
        yield Text(f"  {one_line(', by '.join(said))}", style="dim")
    if answer.get("highlight"):
        yield Text(f"  quoted by the program; the model points at “{one_line(str(answer['highlight']))}”", style="dim")


def _doubts(answer: Mapping[str, Any]) -> Iterator[Text]:
    """The sentences that the passages do not fully support, each with the reason."""
    from rich.text import Text

    for mark in answer.get("support") or ():
        if mark["support"] == "supported":
            continue
        word = "partly supported" if mark["support"] == "partly" else "unsupported"
        sentence = shortened(str(answer["text"])[mark["start"] : mark["end"]], 60)
        yield Text(f"  {word}: “{sentence}” ({one_line(str(mark.get('reason', '')))})", style="yellow")


def _verdict(verdict: Mapping[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    if verdict.get("abstained"):
        word, style = "no verdict", "yellow"
    else:
        word, style = ("passed", "green") if verdict["passed"] else ("failed", "red")
    model = f"  by {one_line(str(verdict['model']))}" if verdict.get("model") else ""
    yield Text.assemble("  ", (word, style), f" with {float(verdict['score']):.2f}", (model, "dim"))
    for score in verdict.get("scores") or ():
        reason = f": {one_line(str(score['reason']))}" if score.get("reason") else ""
        yield Text(f"    {float(score['score']):.2f}  {one_line(str(score['criterion']))}{reason}")
    if verdict.get("feedback") and not verdict.get("scores"):
        yield Text(f"    {one_line(str(verdict['feedback']))}", style="dim")


def _result(result: Mapping[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    style = {"ok": "green", "error": "red"}.get(str(result["status"]), "yellow")
    yield Text.assemble(
        "  ",
        (one_line(str(result["tool"])), "bold"),
        "  ",
        (one_line(str(result["status"])), style),
        f"  {shortened(str(result['content']), 200)}",
    )


def _message(message: Mapping[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    who = one_line(str(message.get("role") or message["type"]))
    yield Text.assemble((f"  {who}: ", "bold"), clean(str(message["content"])))


_SHAPES: tuple[Shape, ...] = (
    (frozenset({"steps", "goal"}), _plan),
    (frozenset({"passage_id", "source", "text"}), _passage),
    (frozenset({"text", "citations"}), _answer),
    (frozenset({"passed", "score"}), _verdict),
    (frozenset({"call_id", "tool", "status", "content"}), _result),
    (frozenset({"content", "role"}), _message),
    (frozenset({"content", "type"}), _message),
)


def _lines_of(source: str, start: int, end: int, quote: str) -> str | None:
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    if not quote or text[start:end] != quote:
        return None
    first, last = text.count("\n", 0, start) + 1, text.count("\n", 0, max(start, end - 1)) + 1
    return f"line {first}" if first == last else f"lines {first} to {last}"


def labels_line(run: Run[Any]) -> str:
    """Tags and metadata of a run, in one line."""
    described = [f"{one_line(name)}={shortened(_value(value), 60)}" for name, value in run.metadata.items()]
    return "  ".join([*map(one_line, run.tags), *described])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def usage_line(usage: Mapping[str, Any], model: str | None) -> str:
    """What the run used, in one line."""
    tokens = int(usage.get("input_tokens") or 0) + int(usage.get("output_tokens") or 0)
    calls = int(usage.get("model_calls") or 0)
    by = f" of {one_line(model)}" if model else ""
    return f"{plural(calls, 'model call')}{by}, {plural(tokens, 'token')}"
