"""Every error that Collegium raises, as one tree.

    CollegiumError
    ├── GraphSetupError            a mistake of the user, found before anything runs
    │   ├── UnknownField           a field that the state does not have
    │   ├── UnknownTarget          an edge, goto or command-line target that does not exist
    │   ├── UnknownTool            a tool that is not registered
    │   ├── InvalidTool            a tool whose declaration does not hold together
    │   ├── PortMismatch           a port and the field bound to it have different types
    │   ├── CheckFailed            build-time checks found errors (carries the findings)
    │   ├── InvalidMcpConfig       a field of an MCP server's configuration does not fit (names both)
    │   ├── McpNotApproved         an MCP server is not started before the user approved its command
    │   └── MissingExtra           an optional dependency is not installed
    ├── InvalidInput               what the caller handed in does not fit (names the field)
    ├── RunError                   a run cannot go on
    │   ├── RunFailed              the run ended in failure (carries the run)
    │   ├── InvalidWrite           a node wrote a value that its field refuses
    │   ├── MissingInput           a node needs a value that is still None
    │   ├── UndeclaredTarget       a node or router went to a node it did not declare
    │   ├── GuardBlocked           a guard let a text not pass (names guard, point and kinds)
    │   ├── Rejected               a person rejected a field under review; the run is cancelled
    │   ├── ThreadBusy             the thread already has an unfinished run
    │   ├── RunTimeout             the run was at work for as long as it may
    │   ├── RunPruned              the state of the run was removed, so it cannot go on
    │   ├── UnknownRun             no run has this id
    │   ├── GraphChanged           the stored run cannot go on in its graph as that is now
    │   └── Fenced                 another worker took the run over
    ├── ApprovalError              an answer that is not accepted
    │   ├── UnknownApproval        no approval has this id
    │   ├── AlreadyDecided         somebody answered first (names who, what and when)
    │   ├── ApprovalExpired        the time to answer is over
    │   ├── StaleApproval          the digest is not the one that waits
    │   └── InvalidDecision        this kind of answer, or its content, is not allowed here
    ├── ToolError                  a tool could not be run
    │   ├── InvalidArguments       the arguments do not fit the tool's schema
    │   ├── NoJournal              a tool with effects was called outside a run
    │   └── JournalMismatch        a recorded effect differs from the one asked for
    ├── McpServerError             an MCP server cannot be reached, or was cut off (names it)
    ├── BackendError               a model server did not give a usable answer
    │   ├── BackendUnavailable     nothing answers at the address, or the key is refused
    │   │   └── CircuitOpen        it failed so often in a row that it is left alone for a while
    │   ├── BackendTimeout         the deadline passed
    │   ├── BackendRejected        the server refused the request (4xx)
    │   │   └── PromptTooLong      prompt and answer do not fit into the model's window
    │   ├── UnsupportedParameter   the provider does not take a decoding setting (names it)
    │   ├── InvalidOutput          the answer does not fit the schema asked for
    │   ├── OutputTruncated        the answer was cut at a limit
    │   ├── OutputRefused          the model declined to answer
    │   └── UnknownModel           the spec names a provider or model that is not there
    ├── KnowledgeError             an index or a source cannot be used
    │   ├── IndexBusy              somebody else writes to the index
    │   └── EmbedderMismatch       its vectors are another model's, or of another length
    ├── UnknownPrice               a budget in US dollars, and a model without a price
    ├── OutOfAnswers               a scripted model was called more often than its script knows
    ├── CassetteError              a recording cannot be used
    │   └── CassetteMismatch       a replay asks for something else than was recorded (shows the words)
    └── StoreError                 the database
        ├── StoreUnavailable       cannot be opened or written (locked, full, not a store)
        ├── StoreKeyError          its key is missing, or is another
        └── CorruptState           a stored record is damaged (names the record)

An error keeps its fields, is built only from its arguments, and can be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime


class CollegiumError(Exception):
    """Base of every error that Collegium raises on purpose."""

    code: ClassVar[str] = "error"
    """Stable word that the documentation explains."""

    exit_status: ClassVar[int] = 1
    """What the command line ends with: 1 failed, 2 wrong usage or input."""


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint for a misspelt word: the nearest known one, else all of them."""
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known) or 'none'}."


class GraphSetupError(CollegiumError):
    """A mistake in the definition of a graph, an agent or a tool."""

    code = "graph_setup"
    exit_status = 2


class UnknownField(GraphSetupError):
    """A node reads or writes a field that the state does not have."""

    code = "unknown_field"

    def __init__(self, field: str, known: Sequence[str], where: str = "") -> None:
        super().__init__(field, tuple(known), where)
        self.field, self.known, self.where = field, tuple(known), where

    def __str__(self) -> str:
        at = f"{self.where}: " if self.where else ""
        return f"{at}the state has no field {self.field!r}. {nearest(self.field, self.known)}"


class UnknownTarget(GraphSetupError):
    """A name does not lead anywhere: a node, a shipped example, a module or a file."""

    code = "unknown_target"

    def __init__(self, target: str, known: Sequence[str], where: str = "") -> None:
        super().__init__(target, tuple(known), where)
        self.target, self.known, self.where = target, tuple(known), where

    def __str__(self) -> str:
        at = f"{self.where}: " if self.where else ""
        return f"{at}there is no {self.target!r}. {nearest(self.target, self.known)}"


class UnknownTool(GraphSetupError):
    """A tool name is not among those registered."""

    code = "unknown_tool"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name, tuple(known))
        self.name, self.known = name, tuple(known)

    def __str__(self) -> str:
        return f"Tool {self.name!r} is not registered. {nearest(self.name, self.known)}"


class InvalidTool(GraphSetupError):
    """A function cannot be a tool as it is declared."""

    code = "invalid_tool"

    def __init__(self, tool: str, problem: str) -> None:
        super().__init__(tool, problem)
        self.tool, self.problem = tool, problem

    def __str__(self) -> str:
        return f"Tool {self.tool!r}: {self.problem}"


class PortMismatch(GraphSetupError):
    """The type of a port and of the field bound to it differ."""

    code = "type_mismatch"

    def __init__(self, node: str, port: str, field: str, port_type: str, field_type: str) -> None:
        super().__init__(node, port, field, port_type, field_type)
        self.node, self.port, self.field = node, port, field
        self.port_type, self.field_type = port_type, field_type

    def __str__(self) -> str:
        return (
            f"Node {self.node!r}: {self.port!r} is {self.port_type}, but field {self.field!r} is "
            f"{self.field_type}. Bind another field, or change one of the types."
        )


class CheckFailed(GraphSetupError):
    """The build-time checks found errors; `findings` holds them."""

    code = "check_failed"

    def __init__(self, graph: str, findings: Sequence[object]) -> None:
        super().__init__(graph, tuple(findings))
        self.graph, self.findings = graph, tuple(findings)

    def __str__(self) -> str:
        lines = "\n".join(f"  {finding}" for finding in self.findings)
        return f"Graph {self.graph!r} cannot run:\n{lines}"


class InvalidMcpConfig(GraphSetupError):
    """A field of the configuration of MCP servers, or the file of their approvals, does not fit."""

    code = "invalid_mcp_config"

    def __init__(self, server: str, field: str, problem: str) -> None:
        super().__init__(server, field, problem)
        self.server, self.field, self.problem = server, field, problem

    def __str__(self) -> str:
        at = f"MCP server {self.server!r}, " if self.server else ""
        return f"{at}{self.field}: {self.problem}"


class McpNotApproved(GraphSetupError):
    """What a configuration would start or speak to is not what the user approved; `shown` is the exact command."""

    code = "mcp_not_approved"

    def __init__(self, server: str, before: str, shown: str) -> None:
        super().__init__(server, before, shown)
        self.server, self.before, self.shown = server, before, shown

    def __str__(self) -> str:
        was = f" (approved was: {self.before})" if self.before else ""
        how = "`collegium mcp pin FILE` shows it and asks."
        return f"MCP server {self.server!r} is not approved: {self.shown}{was}. {how}"


class MissingExtra(GraphSetupError):
    """An optional dependency is needed and not installed."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)
        self.what, self.extra = what, extra

    def __str__(self) -> str:
        return f'{self.what} needs the {self.extra!r} extra: pip install "collegium[{self.extra}]".'


class InvalidInput(CollegiumError):
    """Something handed in does not fit; `field` says which."""

    code = "invalid_input"
    exit_status = 2

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class RunError(CollegiumError):
    """A run cannot go on as asked."""

    code = "run"


class RunFailed(RunError):
    """A run ended in failure; `run` is the run, `reason` what went wrong in one line."""

    code = "run_failed"

    def __init__(self, run_id: str, reason: str, run: object = None) -> None:
        super().__init__(run_id, reason)
        self.run_id, self.reason, self.run = run_id, reason, run

    def __str__(self) -> str:
        return f"Run {self.run_id} failed: {self.reason}"


class InvalidWrite(RunError):
    """A node wrote a value that its field refuses."""

    code = "invalid_write"

    def __init__(self, node: str, field: str, value: str, problem: str) -> None:
        super().__init__(node, field, value, problem)
        self.node, self.field, self.value, self.problem = node, field, value, problem

    def __str__(self) -> str:
        return f"Node {self.node!r} wrote {self.field}={self.value}: {self.problem}"


class MissingInput(RunError):
    """A node needs a value that nothing has written yet."""

    code = "missing_input"

    def __init__(self, node: str, field: str) -> None:
        super().__init__(node, field)
        self.node, self.field = node, field

    def __str__(self) -> str:
        return (
            f"Node {self.node!r} needs {self.field!r}, which is still None. "
            f"Let a node before it write {self.field!r}, or let the node accept None."
        )


class UndeclaredTarget(RunError):
    """A node or a router went to a node that it did not declare."""

    code = "undeclared_target"

    def __init__(self, node: str, target: str, declared: Sequence[str]) -> None:
        super().__init__(node, target, tuple(declared))
        self.node, self.target, self.declared = node, target, tuple(declared)

    def __str__(self) -> str:
        return f"Node {self.node!r} goes to {self.target!r}. {nearest(self.target, self.declared)}"


class GuardBlocked(RunError):
    """A guard did not let something pass; what it found is told by kind and never by its words."""

    code = "guard_blocked"

    def __init__(self, guard: str, point: str, kinds: Sequence[str]) -> None:
        super().__init__(guard, point, tuple(kinds))
        self.guard, self.point, self.kinds = guard, point, tuple(kinds)

    def __str__(self) -> str:
        found = ", ".join(self.kinds)
        return f"Guard {self.guard!r} blocked the {self.point.replace('_', ' ')}: it found {found}."


class Rejected(RunError):
    """A person rejected what was put before them; the run ends as cancelled."""

    code = "rejected"

    def __init__(self, field: str, reason: str, by: str) -> None:
        super().__init__(field, reason, by)
        self.field, self.reason, self.by = field, reason, by

    def __str__(self) -> str:
        return f"{self.by} rejected {self.field!r}" + (f": {self.reason}" if self.reason else ".")


class ThreadBusy(RunError):
    """The thread already has an unfinished run."""

    code = "thread_busy"

    def __init__(self, thread_id: str, run_id: str, status: str) -> None:
        super().__init__(thread_id, run_id, status)
        self.thread_id, self.run_id, self.status = thread_id, run_id, status

    def __str__(self) -> str:
        return (
            f"Thread {self.thread_id!r} has an unfinished run {self.run_id} ({self.status}). "
            'Finish or cancel it, or start with on_busy="enqueue".'
        )


class RunTimeout(RunError):
    """The run was at work for as long as it may; the step at work was cancelled."""

    code = "run_timeout"

    def __init__(self, run_id: str, timeout_s: float) -> None:
        super().__init__(run_id, timeout_s)
        self.run_id, self.timeout_s = run_id, timeout_s

    def __str__(self) -> str:
        return (
            f"Run {self.run_id} was at work for its {self.timeout_s:g} s, and its step was cancelled. "
            "Resume it to give it as long again, or start one with a longer timeout_s."
        )


class RunPruned(RunError):
    """The state of a finished run was removed; what it did and what was decided is still there."""

    code = "run_pruned"

    def __init__(self, run_id: str, pruned_at: datetime) -> None:
        super().__init__(run_id, pruned_at)
        self.run_id, self.pruned_at = run_id, pruned_at

    def __str__(self) -> str:
        return f"Run {self.run_id} cannot go on: its state was pruned on {self.pruned_at:%Y-%m-%d}. Start another run."


class UnknownRun(RunError):
    """No run has this id."""

    code = "unknown_run"
    exit_status = 2

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"There is no run {self.run_id!r}. `collegium runs` lists those of this store."


class GraphChanged(RunError):
    """A stored run cannot go on in its graph as that is now."""

    code = "graph_changed"

    def __init__(self, run_id: str, graph: str, what: str) -> None:
        super().__init__(run_id, graph, what)
        self.run_id, self.graph, self.what = run_id, graph, what

    def __str__(self) -> str:
        return (
            f"Run {self.run_id} cannot go on: graph {self.graph!r} has changed ({self.what}). "
            "Give the graph as it was (beside the new version, if you like), add a migration, or cancel the run."
        )


class Fenced(RunError):
    """Another worker took the run over; what this one still writes is refused."""

    code = "fenced"

    def __init__(self, run_id: str, epoch: int) -> None:
        super().__init__(run_id, epoch)
        self.run_id, self.epoch = run_id, epoch

    def __str__(self) -> str:
        return f"Run {self.run_id} was taken over by another worker (this one held epoch {self.epoch})."


class ApprovalError(CollegiumError):
    """An answer to an approval is not accepted."""

    code = "approval"


class UnknownApproval(ApprovalError):
    """No approval has this id."""

    code = "unknown_approval"
    exit_status = 2

    def __init__(self, approval_id: str) -> None:
        super().__init__(approval_id)
        self.approval_id = approval_id

    def __str__(self) -> str:
        return f"There is no approval {self.approval_id!r}. `collegium inbox` lists what waits."


class AlreadyDecided(ApprovalError):
    """Somebody answered first."""

    code = "already_decided"

    def __init__(self, approval_id: str, decision: str, by: str, at: datetime | None) -> None:
        super().__init__(approval_id, decision, by, at)
        self.approval_id, self.decision, self.by, self.at = approval_id, decision, by, at

    def __str__(self) -> str:
        if self.decision == "cancelled":
            return f"Approval {self.approval_id} was withdrawn by {self.by}. `collegium inbox` lists what waits."
        when = f" at {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        return f"Approval {self.approval_id} was decided already: {self.decision} by {self.by}{when}."


class ApprovalExpired(ApprovalError):
    """The time to answer is over."""

    code = "approval_expired"

    def __init__(self, approval_id: str, expires_at: datetime) -> None:
        super().__init__(approval_id, expires_at)
        self.approval_id, self.expires_at = approval_id, expires_at

    def __str__(self) -> str:
        return f"Approval {self.approval_id} expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC."


class StaleApproval(ApprovalError):
    """The digest answered to is not the one that waits."""

    code = "stale_approval"

    def __init__(self, approval_id: str, expected: str, given: str) -> None:
        super().__init__(approval_id, expected, given)
        self.approval_id, self.expected, self.given = approval_id, expected, given

    def __str__(self) -> str:
        return (
            f"Approval {self.approval_id} is for another content (digest {self.expected[:12]}, "
            f"not {self.given[:12]}). Look at it again with `collegium inbox`."
        )


class InvalidDecision(ApprovalError):
    """This kind of answer, or its content, does not fit the approval."""

    code = "invalid_decision"
    exit_status = 2

    def __init__(self, approval_id: str, problem: str) -> None:
        super().__init__(approval_id, problem)
        self.approval_id, self.problem = approval_id, problem

    def __str__(self) -> str:
        return f"Approval {self.approval_id}: {self.problem}"


class ToolError(CollegiumError):
    """A tool could not be run."""

    code = "tool"

    def __init__(self, tool: str, problem: str) -> None:
        super().__init__(tool, problem)
        self.tool, self.problem = tool, problem

    def __str__(self) -> str:
        return f"Tool {self.tool!r}: {self.problem}"


class InvalidArguments(ToolError):
    """The arguments do not fit the tool's schema."""

    code = "invalid_arguments"


class NoJournal(ToolError):
    """A tool with effects was called outside a run, so nothing would keep it from happening twice."""

    code = "no_journal"


class JournalMismatch(ToolError):
    """The journal holds another call under this key."""

    code = "journal_mismatch"


class McpServerError(CollegiumError):
    """An MCP server cannot be started or reached, refused, or was cut off at a limit."""

    code = "mcp_server"

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(server, problem)
        self.server, self.problem = server, problem

    def __str__(self) -> str:
        return f"MCP server {self.server!r}: {self.problem}"


class BackendError(CollegiumError):
    """A model server did not give a usable answer."""

    code = "backend"

    requests: int = 0
    """How many requests were sent for the call, all tries, repairs and forms together."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(model, problem)
        self.model, self.problem = model, problem

    def __str__(self) -> str:
        return f"{self.model}: {self.problem}"


class BackendUnavailable(BackendError):
    """Nothing usable answers at the address, or the key is refused."""

    code = "backend_unavailable"


class CircuitOpen(BackendUnavailable):
    """The server failed so often in a row that it is left alone for a while; nothing was sent."""

    code = "circuit_open"

    def __init__(self, model: str, failures: int, retry_in_s: float, last: str) -> None:
        Exception.__init__(self, model, failures, retry_in_s, last)
        self.model, self.failures, self.retry_in_s, self.last = model, failures, retry_in_s, last
        self.problem = f"its server failed {failures} times in a row and is asked again in {retry_in_s:.1f} s: {last}"


class BackendTimeout(BackendError):
    """The deadline for an answer passed."""

    code = "backend_timeout"


class BackendRejected(BackendError):
    """The server refused the request."""

    code = "backend_rejected"


class PromptTooLong(BackendRejected):
    """Prompt and answer do not fit into the model's window."""

    code = "prompt_too_long"

    def __init__(self, model: str, tokens: int | None, window: int | None, said: str = "") -> None:
        Exception.__init__(self, model, tokens, window, said)
        self.model, self.tokens, self.window, self.said = model, tokens, window, said
        size = f"The prompt has {tokens} tokens" if tokens else "The prompt is too long"
        room = f" and the model's window {window}" if window else ""
        told = f" ({said})" if said else ""
        self.problem = f"{size}{room}{told}. Send less, or take a model with a larger window."


class UnsupportedParameter(BackendError):
    """The provider, or this model of it, does not take a decoding setting."""

    code = "unsupported_parameter"
    exit_status = 2

    def __init__(self, model: str, parameter: str, taken: Sequence[str]) -> None:
        Exception.__init__(self, model, parameter, taken)
        self.model, self.parameter, self.taken = model, parameter, tuple(taken)
        self.problem = (
            f"{parameter!r} is not taken here. Taken are: {', '.join(taken) or 'none'}. "
            "Leave it out, or put a field of the server's own into `extra`."
        )


class InvalidOutput(BackendError):
    """The answer does not fit the schema asked for, also after repair."""

    code = "invalid_output"


class OutputTruncated(BackendError):
    """The answer was cut at a limit."""

    code = "output_truncated"


class OutputRefused(BackendError):
    """The model declined to answer."""

    code = "output_refused"


class UnknownModel(BackendError):
    """The spec names a provider or a model that is not there."""

    code = "unknown_model"
    exit_status = 2


class KnowledgeError(CollegiumError):
    """An index or a source cannot be used."""

    code = "knowledge"

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(what, problem)
        self.what, self.problem = what, problem

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


class IndexBusy(KnowledgeError):
    """Somebody else writes to the index; reading goes on meanwhile."""

    code = "index_busy"

    def __init__(self, name: str) -> None:
        super().__init__(f"index {name!r}", "another process is writing to it; try again when that has finished.")
        self.args = (name,)
        self.name = name


class EmbedderMismatch(KnowledgeError):
    """Vectors of two embedders, or of two lengths, would be compared."""

    code = "embedder_mismatch"

    def __init__(self, what: str, made_with: str, made_dimension: int, given: str, given_dimension: int) -> None:
        made, mine, way = made_with or "keywords only", given, "ingest its documents again"
        if made == mine:
            made, mine = f"{made}, {made_dimension} values a vector", f"{given_dimension} values"
            way = "ingest into a new index"
        KnowledgeError.__init__(self, what, f"it was made with {made!r}, not {mine!r}; use that embedder, or {way}.")
        self.args = (what, made_with, made_dimension, given, given_dimension)  # so that it can be pickled
        self.made_with, self.made_dimension = made_with, made_dimension
        self.given, self.given_dimension = given, given_dimension


class UnknownPrice(CollegiumError):
    """A run has a budget in US dollars and calls a model whose price nobody knows."""

    code = "unknown_price"
    exit_status = 2

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    def __str__(self) -> str:
        return (
            f"No price is known for {self.model!r}, and the run has a budget in US dollars. "
            "Name a file of prices in COLLEGIUM_PRICES, or limit tokens instead."
        )


class BudgetExceeded(CollegiumError):
    """A limit of the run is spent, and a person refused to extend it."""

    code = "budget_exceeded"

    def __init__(self, limit: str, allowed: float, used: float, by: str) -> None:
        super().__init__(limit, allowed, used, by)
        self.limit, self.allowed, self.used, self.by = limit, allowed, used, by

    def __str__(self) -> str:
        return f"The budget of {self.allowed:g} {self.limit} is spent ({self.used:g} used), and {self.by} refused more."


class OutOfAnswers(CollegiumError):
    """A scripted model was called more often than it has answers."""

    code = "out_of_answers"

    def __init__(self, answers: int, role: str, prompt: str) -> None:
        super().__init__(answers, role, prompt)
        self.answers, self.role, self.prompt = answers, role, prompt

    def __str__(self) -> str:
        who = f"Node {self.role!r}" if self.role else "The caller"
        return (
            f"The scripted model has {self.answers} answers and all are used. "
            f"{who} asked once more; the prompt ends with {self.prompt!r}."
        )


class CassetteError(CollegiumError):
    """A recording cannot be read or used."""

    code = "cassette"

    def __init__(self, cassette: str, problem: str) -> None:
        super().__init__(cassette, problem)
        self.cassette, self.problem = cassette, problem

    def __str__(self) -> str:
        return f"Cassette {self.cassette}: {self.problem}"


class CassetteMismatch(CassetteError):
    """A replay and its recording differ: `place` says where, `difference` shows the words that changed."""

    code = "cassette_mismatch"

    def __init__(self, cassette: str, place: str, difference: str) -> None:
        CollegiumError.__init__(self, cassette, place, difference)
        self.cassette, self.place, self.difference = cassette, place, difference
        self.problem = f"{place}: {difference}"

    def __str__(self) -> str:
        return f"{super().__str__().rstrip('.')}. Record it anew if the change is meant."


class StoreError(CollegiumError):
    """The database cannot be used as asked."""

    code = "store"

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(store, problem)
        self.store, self.problem = store, problem

    def __str__(self) -> str:
        return f"{self.store}: {self.problem}"


class StoreUnavailable(StoreError):
    """The database cannot be opened or written."""

    code = "store_unavailable"


class StoreKeyError(StoreError):
    """The key of an encrypted database is missing, is another, or is no key."""

    code = "store_key"


class CorruptState(StoreError):
    """A stored record is damaged; `store` names the record."""

    code = "corrupt_state"
