"""Long-term memory as tools: remember, recall, list, forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...knowledge.index import Index
from ...knowledge.memory import Memory, Note
from ..base import IdempotencyKey, ToolContext
from ..function import FunctionTool, tool

MAX_NOTES = 100


def memory(index: Index | Callable[[Any], Index], *, k: int = 5) -> list[FunctionTool[..., Any]]:
    """The tools `remember`, `recall`, `list_notes` and `forget`, over the notes of an index.

    What one thread remembers, every other recalls. Notes come back labelled as retrieved, so they are untrusted;
    `remember` and `forget` are of medium risk: once untrusted text had a part in the call, a person is asked. So a
    page that was read cannot plant a note unseen.

    Args:
        index: Where notes are kept, or a function that takes the run's `context` and says where: for an
            application of many users, `lambda deps: Index(f"memory-{deps.user_id}")`.
        k: How many notes `recall` returns when the model does not say.
    """

    def notes_of(context: ToolContext[Any]) -> Memory:
        return Memory(index if isinstance(index, Index) else index(context.deps))

    @tool(effect="idempotent", risk="medium")
    async def remember(text: str, key: IdempotencyKey, context: ToolContext[Any]) -> dict[str, str]:
        """Remember something for later conversations: a fact, a preference, a decision.

        Args:
            text: One note that can be understood by itself, at most 2,000 characters.
            key: Not needed: the same words are one note.
            context: Whose notes.
        """
        return _told(await notes_of(context).remember(text))

    @tool(effect="read", risk="low", origin="retrieval")
    async def recall(query: str, context: ToolContext[Any], notes: int = k) -> list[dict[str, str]]:
        """Look up what was remembered, in this conversation and in earlier ones.

        Args:
            query: What to look for: a question or keywords.
            notes: How many notes to return, at most 20.
            context: Whose notes.
        """
        kept = notes_of(context)
        found = await kept.recall(query, max(1, min(notes, 20)))
        by_source = {note.source: note for note in kept.notes()}
        sources = dict.fromkeys(passage.source for passage in found)
        return [_told(by_source[source]) for source in sources if source in by_source]

    @tool(effect="read", risk="low", origin="retrieval")
    def list_notes(context: ToolContext[Any]) -> list[dict[str, str]]:
        """List what is remembered, the newest first, at most 100 notes."""
        return [_told(note) for note in reversed(notes_of(context).notes()[-MAX_NOTES:])]

    @tool(effect="idempotent", risk="medium")
    async def forget(note_id: str, key: IdempotencyKey, context: ToolContext[Any]) -> str:
        """Forget a note for good.

        Args:
            note_id: Its id, as `remember`, `recall` and `list_notes` give it.
            key: Not needed: a note can be gone only once.
            context: Whose notes.
        """
        return "forgotten" if await notes_of(context).forget(note_id) else f"there is no note {note_id}"

    return [remember, recall, list_notes, forget]


def _told(note: Note) -> dict[str, str]:
    return {"note_id": note.note_id, "text": note.text, "made": note.made.isoformat(timespec="seconds")}
