"""The verbs of `collegium eval`: what each takes, and the function that does it.

As in `app.py`, nothing but typer is imported here; a verb imports its part when it runs. Add a verb by a function
of a few lines here and a file of its own, `cli/evaluating_NAME.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

eval_app = typer.Typer(help="Measure parts against data sets, with intervals.", invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@eval_app.callback()
def evaluate(context: typer.Context) -> None:
    """Measure parts against data sets, with intervals."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@eval_app.command("retrieval")
def eval_retrieval(
    corpus: Annotated[Path, typer.Option("--corpus", metavar="FILE", help="JSON lines: id, text, title.")],
    queries: Annotated[
        Path | None,
        typer.Option("--queries", metavar="FILE", help="JSON lines: id, text; without --qrels, required_documents."),
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option("--qrels", metavar="FILE", help="JSON lines: query_id, doc_id, grade.")
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="In place of --queries: id, question, doc_id, spans."),
    ] = None,
    fusion: Annotated[
        str, typer.Option("--fusion", metavar="weighted|rrf", help="How the parts are fused.")
    ] = "weighted",
    keyword_weight: Annotated[
        float, typer.Option("--keyword-weight", min=0, max=1, help="Of a weighted fusion.")
    ] = 0.4,
    feedback: Annotated[
        int, typer.Option("--feedback", min=0, help="Passages whose words are added to the query; 0: none.")
    ] = 10,
    keyword_only: Annotated[bool, typer.Option("--keyword-only", help="Do without vectors.")] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Keep the index there, and use it again.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Measure keyword, vector and fused search on a judged collection."""
    from .evaluating_retrieval import Files, Way, retrieval

    files = Files(corpus, queries, qrels, questions)
    return retrieval(files, Way(fusion, keyword_weight, feedback, keyword_only, keep), as_json=as_json)


@eval_app.command("ranking")
def eval_ranking(
    ranking: Annotated[Path, typer.Argument(help="JSON lines: query_id, doc_id, score or rank.", metavar="FILE")],
    qrels: Annotated[Path, typer.Option("--qrels", metavar="FILE", help="JSON lines: query_id, doc_id, grade.")],
    as_json: Json = False,
) -> int:
    """Measure a ranking that any search engine made."""
    from .evaluating_retrieval import ranking as measure

    return measure(ranking, qrels, as_json=as_json)


@eval_app.command("grounding")
def eval_grounding(
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE", help="JSON lines: claim, evidence, grounded (true or false).")
    ],
    as_json: Json = False,
) -> int:
    """Measure how well the grounding check tells supported claims from others."""
    from .evaluating_grounding import grounding as measure

    return measure(data, as_json=as_json)


@eval_app.command("guard")
def eval_guard(
    name: Annotated[str, typer.Argument(help="injection, jailbreak, pii or secrets.")],
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="JSON lines: texts, and what is known of them.")],
    field: Annotated[str | None, typer.Option(help="The field that holds the text.")] = None,
    as_json: Json = False,
) -> int:
    """Measure a detector: attacks flagged, false alarms, places found."""
    from .evaluating_guard import guard as measure

    return measure(name, data, field, as_json=as_json)


@eval_app.command("security")
def eval_security(
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Holds agent-attacks, agentdojo …; default COLLEGIUM_DATA."),
    ] = None,
    shapes: Annotated[
        list[str] | None, typer.Option("--shape", metavar="NAME", help="Only these shapes of graph. Repeatable.")
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, metavar="N", help="Only each N-th row.")] = 1,
    as_json: Json = False,
) -> int:
    """Try injected orders on a model that obeys them, in every shape of graph, with and without protection."""
    from .evaluating_security import security as measure

    return measure(data, shapes or [], every, as_json=as_json)


@eval_app.command("tools")
def eval_tools(
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="JSON lines: id, tools, accepted.")],
    as_json: Json = False,
) -> int:
    """Measure whether right calls of tools pass, and calls that break the schema are refused."""
    from .evaluating_tools import tools as measure

    return measure(data, as_json=as_json)
