"""Answer a question from documents, with citations, and save a report once a person agrees.

    collegium run research "Which licence does rich have?"
    collegium run research "When does the library open?" --set documents='["handbook/"]'

Plan, a person's review, a search for each step, an answer that quotes its sources, a judge who may have it
searched and written again twice, and a report that is written after a person approved it. Without
`documents`, the descriptions of the packages that Collegium stands on are read: real documents, present
wherever it is installed.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution, requires
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from collegium import END, START, Graph, State, append, tool
from collegium.agents import Answer, Judge, Plan, Planner, Retriever, Review, Rubric, Step, Verdict, Writer
from collegium.knowledge import Index, Passage
from collegium.runs import call_tool
from collegium.tools import ToolResult


class Question(State):
    question: str
    documents: list[str] = []
    """Files and folders to read; without any, package descriptions."""


class Research(Question):
    plan: Plan | None = None
    passages: Annotated[list[Passage], append] = []
    answer: Answer | None = None
    verdict: Verdict | None = None
    report: ToolResult | None = None


@tool(effect="unsafe", risk="high")
def save_report(name: str, text: str) -> str:
    """Write a report into the folder `reports`.

    Args:
        name: Name of the file, without a suffix.
        text: The report, as Markdown.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "report"
    file = Path("reports") / f"{slug}.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return f"saved as {file}"


def package_descriptions() -> list[Path]:
    """The METADATA files of the packages that Collegium requires."""
    files: list[Path] = []
    for requirement in requires("collegium") or ():
        name = re.split(r"[ ;<>=!~\[(]", requirement)[0]
        try:
            found = [Path(str(f.locate())) for f in distribution(name).files or () if f.name == "METADATA"]
        except PackageNotFoundError:  # an extra that is not installed
            continue
        files += [file for file in found if file not in files and file.parent.suffix == ".dist-info"]
    return files


def library(documents: Sequence[str]) -> Index:
    """The index of these documents; each set of documents has one of its own."""
    paths = "\n".join(sorted(str(Path(path).resolve()) for path in documents))
    return Index(f"research-{sha256(paths.encode()).hexdigest()[:8]}" if paths else "research")


async def read(documents: list[str]) -> None:
    """Bring the index up to date; documents that have not changed cost nothing."""
    await library(documents).ingest([Path(d) for d in documents] or package_descriptions())


async def search(step: Step, documents: list[str], passages: list[Passage], verdict: Verdict | None) -> list[Passage]:
    """The best passages for a step; behind a failed verdict, those that were not found yet."""
    return await Retriever(library(documents), k=6)(step, passages=passages, verdict=verdict)


async def save(question: str, answer: Answer) -> ToolResult:
    quotes = "\n".join(f"> {cited.quote}\n> — {cited.source}\n" for cited in answer.citations)
    text = f"# {question}\n\n{answer.text}\n\n{quotes}\n{answer.confidence}, by {answer.model}\n"
    return await call_tool(save_report, {"name": question, "text": text}, trust="untrusted")


def passed(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.passed


graph = Graph(Research, name="research", input=Question)
graph.add_node("read", read, writes=[])
graph.add_node("plan", Planner(agents=["search"]), reads={"goal": "question"}, writes="plan")
graph.add_node("review", Review("plan"))
graph.add_map("retrieve", search, over="plan.steps", writes="passages")
graph.add_node("write", Writer(), writes="answer")
graph.add_node("judge", Judge(rubric=Rubric("grounded", "answers the question")), writes="verdict")
graph.add_node("save", save, writes="report")
for before, after in pairwise([START, "read", "plan", "review", "retrieve", "write", "judge"]):
    graph.add_edge(before, after)
graph.add_loop("judge", back_to="retrieve", until=passed, at_most=2, then="save")
graph.add_edge("save", END)
