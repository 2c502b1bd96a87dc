"""Answers to what waits: the wrong word, the wrong type, extra fields, 5 MB."""
# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# odd values have no types

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from collegium.core.errors import ApprovalError, InvalidInput
from collegium.runs import Approve, Decision, Edit, Extend, Happened, NotHappened, Reject, Respond, Retry, Run, Runner
from collegium.runs.decisions import decision_from_json

from .corpus import objects, texts, values, whole
from .graphs import asking
from .judging import Door, Outcome, judged_command


def door(folder: Path) -> Door:
    """A run that waits, answered until it has ended; then another."""
    loop = asyncio.Runner()
    url = f"sqlite:///{folder / 'answers.db'}"
    runner = Runner(url, graphs=[asking()])
    loop.run(runner.open())
    waiting: list[Run[Any]] = []
    seen = 0

    def attempt(example: tuple[Any, str | None]) -> Outcome:
        nonlocal seen
        if not waiting:
            waiting.append(loop.run(_waiting(runner)))
        run = waiting[-1]
        given, digest = example
        try:
            decision = _decision(given)
            after = loop.run(_answer(runner, run, decision, digest))
        except (ApprovalError, InvalidInput) as error:
            assert str(error).strip()
            return "refused"
        waiting[-1:] = [after] if after.status == "waiting" else []
        assert after.status in ("waiting", "done", "cancelled"), after.error
        seen += 1
        if seen % 20 == 1:
            judged_command(["inbox", "--db", url], terminal=True)
            judged_command(["show", run.run_id, "--db", url, "--json"])
        return "accepted"

    def close() -> None:
        loop.run(runner.close())
        loop.close()

    return Door("answers", st.tuples(st.one_of(decisions(), bodies()), digests()), attempt, close)


def digests() -> st.SearchStrategy[str | None]:
    """Most answers name no digest."""
    return st.one_of(st.none(), st.none(), st.none(), texts())


def decisions() -> st.SearchStrategy[Any]:
    """Decisions as Python builds them; no type checker stands before a caller."""
    content = st.one_of(values(), objects("to", "amount", "words"), st.lists(texts(), max_size=2))
    by = st.one_of(texts(), values())
    return st.one_of(
        st.tuples(st.sampled_from([Approve, NotHappened, Retry]), st.none(), by),
        st.tuples(st.sampled_from([Edit, Reject, Respond, Happened, Extend]), content, by),
    )


def bodies() -> st.SearchStrategy[Any]:
    """Decisions as JSON brings them."""
    word = st.one_of(st.sampled_from(["approve", "edit", "reject", "respond", "extend", "happened", "retry"]), values())
    return st.builds(
        lambda word, rest: {**rest, "decision": word}, word, objects("args", "by", "amount", "text", "reason")
    )


def _decision(given: Any) -> Decision:
    if isinstance(given, dict):
        return decision_from_json(whole(given))
    kind, content, by = given
    bare = content is None and kind in (Approve, NotHappened, Retry)
    made: Any = kind(by=by) if bare else cast("Any", kind)(whole(content), by)
    return cast("Decision", made)


async def _waiting(runner: Runner) -> Run[Any]:
    run = await runner.start("asking", {"text": "plain", "words": ["one"]})
    return await run.wait(timeout_s=60)


async def _answer(runner: Runner, run: Run[Any], decision: Decision, digest: str | None) -> Run[Any]:
    answered = await runner.answer(run.approvals[0].id, decision, digest=digest)
    return await answered.wait(timeout_s=60)
