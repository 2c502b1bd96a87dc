"""`run` and `resume`: a run shown live, its questions asked in the terminal, its end told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import ApprovalError, InvalidDecision, InvalidInput, UnknownRun
from .asking import Asker
from .failures import DONE, FAILED, WAITING, complain
from .forking import changes
from .inputs import budget_of, gather_input, input_fields, metadata_of
from .live import LineView, SilentView, TreeView, View
from .opening import graph_of_run, open_runner, person, store_url
from .shapes import run_json
from .taping import MEMORY, NO_TAPE, Tape, decided_in, input_of, note, taping
from .targets import load_target, parse_target
from .terminal import Terminal, is_interactive, make_console
from .text import as_json as json_types
from .text import clock, one_line, plural, print_json
from .views import labels_line, show_state, usage_line

if TYPE_CHECKING:
    from rich.console import Console

    from ..runs import Approval, Decision, Run, Runner
    from ..testing.cassettes import Cassette

_SETTLE_S = 0.05
"""How long an answer that is refused takes to come back."""

Decide = Callable[["Approval"], Awaitable["Decision | None"]]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `run` and `resume` share."""

    model: str | None
    yes: bool
    by: str | None
    db: str | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """How a run is admitted, as it was typed."""

    thread: str | None
    on_busy: str
    tags: Sequence[str]
    metadata: Sequence[str]
    timeout_s: float | None
    budget: Sequence[str]

    def arguments(self) -> dict[str, Any]:
        """What `Runner.start` takes.

        Raises:
            InvalidInput: A value of the metadata is not KEY=VALUE, a limit is none, or the word for a busy thread is
                unknown.
        """
        from ..runs.admission import checked_on_busy

        return {
            "thread_id": self.thread,
            "on_busy": checked_on_busy(self.on_busy),
            "tags": self.tags,
            "metadata": metadata_of(self.metadata),
            "timeout_s": self.timeout_s,
            "budget": budget_of(self.budget),
        }


def run(
    target_text: str,
    text: str | None,
    settings: Sequence[str],
    file: Path | None,
    admission: Admission,
    options: RunOptions,
    tape: Tape = NO_TAPE,
) -> int:
    """Start a run and follow it to its end, or to a question that nobody here can answer."""
    target = parse_target(target_text)
    graph = load_target(target)
    with taping(tape, options.db) as cassette:
        values = input_of(cassette, lambda: gather_input(input_fields(graph), text, settings, file))
        given = admission.arguments()
        url = MEMORY if tape.replay else store_url(options.db, create=True) or ""
        note(cassette, target.text, values)

        async def begin(runner: Runner) -> Run[Any]:
            return await runner.start(graph, values, target=target.text, folder=str(Path.cwd()), **given)

        return asyncio.run(_Session(options, begin, cassette).hold(url, graph))


def resume(run_id: str, options: RunOptions) -> int:
    """Go on with a stored run."""
    url = store_url(options.db)

    async def begin(runner: Runner) -> Run[Any]:
        return await runner.resume(run_id)

    async def whole() -> int:
        if url is None:
            raise UnknownRun(run_id)
        return await _Session(options, begin).hold(url, await graph_of_run(url, run_id))

    return asyncio.run(whole())


def fork(run_id: str, at: str, settings: Sequence[str], effects: str | None, options: RunOptions) -> int:
    """Start a run that goes on from a step of a stored one."""
    url = store_url(options.db)
    if effects not in (None, "reuse", "redo"):
        raise InvalidInput("--effects", f"{effects!r} is neither reuse nor redo.")

    async def whole() -> int:
        if url is None:
            raise UnknownRun(run_id)
        graph = await graph_of_run(url, run_id)
        values = changes(graph, at, settings)

        async def begin(runner: Runner) -> Run[Any]:
            return await runner.fork(run_id, at=at, values=values, effects=cast("Any", effects))

        return await _Session(options, begin).hold(url, graph)

    return asyncio.run(whole())


class _Session:
    """One run in one terminal."""

    def __init__(
        self,
        options: RunOptions,
        begin: Callable[[Runner], Awaitable[Run[Any]]],
        cassette: Cassette | None = None,
    ) -> None:
        self._options, self._begin, self._cassette = options, begin, cassette
        self._console = make_console(error=options.as_json)
        self._terminal = Terminal(self._console)
        self._decide = self._decider()

    def _decider(self) -> Decide | None:
        if self._cassette is not None and self._cassette.replaying:
            return decided_in(self._cassette)
        if self._options.yes:
            return _approve
        if is_interactive() and not self._options.as_json:
            return Asker(self._console, self._terminal, person(self._options.by)).decide
        return None

    async def hold(self, url: str, graph: Any) -> int:
        """Follow the run from its beginning here to its end here; returns the exit status."""
        with self._terminal.catching_interrupts():
            async with open_runner(url, [graph], self._options.model) as runner:
                run = await self._begin(runner)
                view = _view(self._console, run, self._options)
                last = await self._until_stopped(self._follow(runner, run, view))
            if last is None:
                if self._cassette is not None:
                    self._cassette.drop()
                return complain(f"Stopped. Go on with: collegium resume {run.run_id}{_db(self._options)}", FAILED)
        if self._cassette is not None and self._cassette.replaying:
            self._cassette.check_end()
        return report(self._console, last, self._options)

    async def _until_stopped(self, work: Awaitable[Run[Any]]) -> Run[Any] | None:
        """The result of `work`; None when the person pressed Ctrl-C: the run drains and can be resumed."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self._terminal.stopped.wait())
        try:
            await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
            if self._terminal.stopped.is_set() and not task.done():
                task.cancel()
                await asyncio.wait([task])
                return None
            return task.result()
        except KeyboardInterrupt:
            return None
        finally:
            stopped.cancel()

    async def _follow(self, runner: Runner, run: Run[Any], view: View) -> Run[Any]:
        run = await _watched(runner, run.run_id, view, runner.wait(run.run_id))
        while run.status == "waiting" and self._decide is not None:
            answered = await self._answer_first(runner, run, view, self._decide)
            if answered is None:
                break
            run = answered
        return run

    async def _answer_first(self, runner: Runner, run: Run[Any], view: View, decide: Decide) -> Run[Any] | None:
        """The run after the person decided its first open question; None when that is left for later."""
        approval = run.approvals[0]
        while (decision := await decide(approval)) is not None:
            answer = runner.answer(approval.approval_id, decision, digest=approval.digest)
            try:
                return await _watched(runner, run.run_id, view, answer)
            except InvalidDecision as refused:
                if self._options.yes:
                    raise
                self._console.print(one_line(str(refused)), style="yellow")
            except ApprovalError as late:
                self._console.print(one_line(str(late)), style="yellow")
                return await _watched(runner, run.run_id, view, runner.wait(run.run_id))
        return None


async def _watched(runner: Runner, run_id: str, view: View, work: Awaitable[Run[Any]]) -> Run[Any]:
    """The result of `work`, with everything that happens in the run meanwhile shown."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=_SETTLE_S)
        if task.done() and task.exception():
            return task.result()
        with view:
            while True:
                finished = task.done()
                async for event in runner.events(run_id, after=view.progress.seq):
                    view.saw(event)
                if finished:
                    return task.result()
                # Before an answer is recorded the run still rests, and its events end at once.
                await asyncio.wait([task], timeout=_SETTLE_S)
    finally:
        task.cancel()


async def _approve(approval: Approval) -> Decision | None:
    from ..runs import Approve

    return Approve(by="--yes") if "approve" in approval.allowed else None


def report(console: Console, run: Run[Any], options: RunOptions) -> int:
    """Say how a run ended, or what it waits for; returns the exit status."""
    if options.as_json:
        print_json(run_json(run))
    elif run.status in ("done", "waiting"):
        show_run(console, run)
    if run.status == "waiting":
        _say_how_to_answer(run, options)
        return WAITING
    if run.status == "done":
        return DONE
    if run.status in ("failed", "cancelled"):
        why = f": {run.error}" if run.error else "."
        return complain(f"Run {run.run_id} {'was ' if run.status == 'cancelled' else ''}{run.status}{why}", FAILED)
    complain(f"Run {run.run_id} is {run.status}; another process goes on with it.", DONE)
    return DONE


def show_run(console: Console, run: Run[Any]) -> None:
    """Print what a run found, and what it used."""
    if run.state is not None:
        show_state(console, json_types(run.state))
    elif run.pruned_at is not None:
        said = f"Its state was pruned on {clock(run.pruned_at)}; what was decided and done is still in the store."
        console.print(said, style="yellow")
    if run.tags or run.metadata:
        console.print(f"\n{labels_line(run)}", style="dim")
    usage = json_types(run.usage)
    console.print(f"\n{run.run_id} {run.status}: {usage_line(usage, run.model)}", style="dim")


def _say_how_to_answer(run: Run[Any], options: RunOptions) -> None:
    first = run.approvals[0] if run.approvals else None
    if first is None:
        return
    word = "approve" if "approve" in first.allowed else first.allowed[0].replace("_", "-")
    more = "" if len(run.approvals) == 1 else f" ({plural(len(run.approvals), 'question')}: collegium inbox)"
    complain(f"Run {run.run_id} waits{more}: collegium answer {first.approval_id} {word}{_db(options)}", WAITING)


def _db(options: RunOptions) -> str:
    return f" --db {options.db}" if options.db else ""


def _view(console: Console, run: Run[Any], options: RunOptions) -> View:
    title = f"{run.graph}  {run.run_id}"
    if options.as_json:
        return SilentView()
    drawn = console.is_terminal and os.environ.get("TERM") != "dumb"
    return TreeView(console, title) if drawn else LineView(console, title)
