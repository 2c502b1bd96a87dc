"""What can go wrong between a client and a model server, by name, and what a client should make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Where = Literal["any", "chat", "stream", "plain", "embedding"]
Outcome = Literal["answer", "error", "either"]
"""answer: usable as it is, or after another try. error: never usable. either: it depends on what was asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a server misbehaves."""

    name: str
    where: Where
    outcome: Outcome
    advice: str
    retried: bool = True
    """Whether the same request may be sent again."""


_ANY: Final = (
    Fault("ok", "any", "answer", "nothing is wrong", False),
    Fault("429", "any", "error", "wait as many seconds as Retry-After says, then try again"),
    Fault("429_date", "any", "error", "the same, where Retry-After is a date"),
    Fault("429_ms", "any", "error", "the same, where only retry-after-ms is given"),
    Fault("429_no_header", "any", "error", "wait for a time of one's own choosing, with jitter"),
    Fault("429_quota", "any", "error", "give up at once: nothing is left to spend", False),
    Fault("500", "any", "error", "try again a few times"),
    Fault("502_html", "any", "error", "the same; what came is a web page"),
    Fault("503", "any", "error", "the same, after the wait it names"),
    Fault("529", "any", "error", "the same, with a status that no standard knows"),
    Fault("400", "any", "error", "give up at once: the request is wrong", False),
    Fault("400_context", "chat", "error", "say that the prompt is too long", False),
    Fault("401", "any", "error", "say that the key is refused, and never which key", False),
    Fault("404_model", "any", "error", "say that there is no such model", False),
    Fault("timeout", "any", "error", "end at one's own deadline; the answer comes long after it"),
    Fault("hang", "any", "error", "the same; not even a head comes"),
    Fault("reset", "any", "error", "try again: the connection ended before the answer"),
    Fault("reset_body", "any", "error", "try again, and use nothing of the half that came"),
    Fault("truncated_json", "any", "error", "try again: the body ends too early, in good order"),
    Fault("not_json", "any", "error", "refuse what is no JSON"),
    Fault("empty_body", "any", "error", "refuse a body without a byte"),
    Fault("wrong_type", "any", "error", "refuse a list where an object belongs", False),
    Fault("wrong_schema", "any", "error", "refuse an object with other fields", False),
    Fault("error_200", "any", "error", "take an error for an error, whatever the status"),
    Fault("bad_utf8", "any", "error", "refuse, or replace, bytes that are no UTF-8"),
    Fault("wrong_ctype", "any", "either", "read it by what it is, or refuse it by its label"),
    Fault("redirect", "any", "error", "do not follow it with the key", False),
    Fault("huge", "any", "error", "stop reading at a limit", False),
    Fault("deep_json", "any", "error", "refuse it without running out of stack"),
    Fault("slow_drip", "any", "either", "hold the deadline over the whole, not over each byte"),
)
_CHAT: Final = (
    Fault("empty_choices", "chat", "error", "refuse an answer without a choice"),
    Fault("null_content", "chat", "either", "take it for an empty answer"),
    Fault("empty_content", "chat", "either", "the same"),
    Fault("length", "chat", "either", "mark the answer as cut"),
    Fault("content_filter", "chat", "error", "report that it was withheld", False),
    Fault("refusal", "chat", "error", "report that the model declined", False),
    Fault("no_usage", "chat", "answer", "go on, and estimate the tokens"),
    Fault("bad_usage", "chat", "answer", "go on, and distrust the counts"),
    Fault("unknown_finish", "chat", "answer", "go on"),
    Fault("extra_fields", "chat", "answer", "ignore fields that nobody knows"),
    Fault("markdown_json", "chat", "either", "find the JSON between the talk"),
    Fault("schema_violation", "chat", "either", "refuse or repair, within bounds"),
    Fault("prompt_echo", "chat", "either", "treat one's own words as a model's words"),
    Fault("think_tags", "chat", "either", "keep the reasoning out of the answer"),
)
_TOOLS: Final = (
    Fault("tool_bad_json", "chat", "either", "run no tool on half a call"),
    Fault("tool_wrong_type", "chat", "either", "run no tool on arguments that do not fit"),
    Fault("tool_unknown", "chat", "either", "run nothing that does not exist"),
    Fault("tool_no_id", "chat", "either", "make up an id, so that call and result stay a pair"),
    Fault("tool_dup_id", "chat", "either", "tell two calls with one id apart"),
    Fault("tool_args_object", "chat", "either", "read an object where a text belongs, or refuse it"),
    Fault("tool_args_empty", "chat", "either", "read it as no arguments, where the tool needs none"),
    Fault("tool_huge_args", "chat", "error", "refuse megabytes of arguments", False),
    Fault("tool_flood", "chat", "error", "refuse hundreds of calls in one turn", False),
    Fault("tool_loop", "chat", "either", "stop asking at a limit of turns"),
)
_STREAMS: Final = (
    Fault("reset_stream", "stream", "error", "use nothing of a stream that broke, and join nothing to it"),
    Fault("stall_stream", "stream", "error", "end a silence within a stream"),
    Fault("no_done", "stream", "answer", "the finish reason is end enough"),
    Fault("early_done", "stream", "error", "an end mark without a finish reason means: cut"),
    Fault("error_in_stream", "stream", "error", "an error among the events ends the answer"),
    Fault("bad_chunk", "stream", "error", "an event that is no JSON ends the answer"),
    Fault("split_utf8", "stream", "answer", "a character may come in two pieces"),
    Fault("crlf_comments", "stream", "answer", "line ends, comments and blank events vary"),
    Fault("dup_chunk", "stream", "either", "an event twice is a text twice"),
    Fault("json_not_stream", "stream", "answer", "read the whole answer, though a stream was asked for"),
    Fault("stream_not_json", "plain", "answer", "read the stream, though a whole answer was asked for"),
    Fault("interleaved_tools", "stream", "either", "join the pieces of two calls by their index"),
    Fault("endless_stream", "stream", "error", "end it by size or by time"),
)
_VECTORS: Final = (
    Fault("emb_wrong_dim", "embedding", "error", "refuse vectors of different lengths", False),
    Fault("emb_nan", "embedding", "error", "refuse what is no number", False),
    Fault("emb_missing", "embedding", "error", "refuse fewer vectors than texts", False),
    Fault("emb_shuffled", "embedding", "answer", "put the vectors in order by their index", False),
    Fault("emb_zero", "embedding", "either", "do not divide by a length of nothing", False),
)
FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in (*_ANY, *_CHAT, *_TOOLS, *_STREAMS, *_VECTORS)}
TRANSIENT: Final = ("429", "429_ms", "429_no_header", "500", "502_html", "503", "529", "reset", "reset_body")
"""Faults that another try may pass."""


def bites(fault: Fault, *, streamed: bool) -> bool:
    """Whether a chat request meets the fault; one that does not is answered well."""
    if fault.where == "stream":
        return streamed
    return fault.where != "embedding" and not (fault.where == "plain" and streamed)
