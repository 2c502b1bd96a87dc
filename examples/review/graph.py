"""Review the Python files of a folder: one look at each in parallel, a report, a judge, a person's word.

    collegium run review src/

Each file is read by rules that need no model; a capable model adds remarks of its own and writes the summary,
which a judge may send back once. The person approves the report, edits it, or responds with notes.
"""

import ast
import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from collegium import END, START, Graph, State, append, model
from collegium.agents import Criterion, Judge, Review, Rubric, Verdict
from collegium.core.messages import user

LONG = 60
"""Lines from which a function counts as long."""

llm = model()


class Remark(BaseModel):
    file: str
    line: int
    text: str = Field(max_length=300)


class Remarks(BaseModel):
    remarks: list[Remark] = Field(max_length=5)


class CodeReview(State):
    folder: str
    files: list[str] = []
    remarks: Annotated[list[Remark], append] = []
    report: str = ""
    verdict: Verdict | None = None
    notes: str = ""


def find(folder: str) -> list[str]:
    root = Path(folder)
    found = [root] if root.is_file() else sorted(root.rglob("*.py"))
    return [str(file) for file in found if ".venv" not in file.parts]


async def inspect(file: str) -> list[Remark]:
    source = await asyncio.to_thread(Path(file).read_text, encoding="utf-8")
    remarks = list(by_rule(file, source))
    if (await llm.capabilities()).level == "capable":
        asked = f"Review {file}. Name at most five real mistakes, each with its line.\n\n{source[:20_000]}"
        said = await llm.complete([user(asked, origins=frozenset({"file"}))], output=Remarks)
        remarks += said.output.remarks
    return sorted(remarks, key=lambda remark: remark.line)


def by_rule(file: str, source: str) -> Iterator[Remark]:
    """Remarks that need no model."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield Remark(file=file, line=error.lineno or 1, text=f"Does not parse: {error.msg}.")
        return
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=None, lineno=line):
                yield Remark(file=file, line=line, text="A bare except also hides Ctrl-C.")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from by_function(file, node)
            case _:
                pass


def by_function(file: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Remark]:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if lines > LONG:
        yield Remark(file=file, line=function.lineno, text=f"{function.name} has {lines} lines.")
    if any(isinstance(default, ast.List | ast.Dict | ast.Set) for default in function.args.defaults):
        yield Remark(file=file, line=function.lineno, text=f"{function.name} shares a mutable default.")


async def summarise(remarks: list[Remark], verdict: Verdict | None) -> str:
    listed = "\n".join(f"{r.file}:{r.line}: {r.text}" for r in remarks) or "Nothing to remark."
    if not remarks or (await llm.capabilities()).level != "capable":
        return listed
    again = f"\nThe last summary was not good enough: {verdict.feedback}" if verdict else ""
    asked = f"Summarise these remarks for their author, the gravest first, each with file and line.{again}\n\n"
    return (await llm.complete([user(asked + listed, origins=frozenset({"file"}))])).text


def settled(verdict: Verdict | None) -> bool:
    return verdict is not None and (verdict.passed or verdict.abstained)


useful = Criterion(name="useful", description="Names file and line of each remark, the gravest first.")

graph = Graph(CodeReview, name="review")
graph.add_node("find", find, writes="files")
graph.add_map("inspect", inspect, over="files", writes="remarks")
graph.add_node("summarise", summarise, writes="report")
graph.add_node("judge", Judge(rubric=Rubric(useful)), reads={"answer": "report"}, writes="verdict")
graph.add_node("respond", Review("report", notes="notes"))
for before, after in pairwise([START, "find", "inspect", "summarise", "judge"]):
    graph.add_edge(before, after)
graph.add_loop("judge", back_to="summarise", until=settled, at_most=1, then="respond")
graph.add_edge("respond", END)
