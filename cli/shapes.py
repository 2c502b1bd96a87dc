"""The JSON shapes of the command line, as its contract lays them down."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .text import as_json

if TYPE_CHECKING:
    from ..graphs import Finding
    from ..knowledge import Found, Passage
    from ..runs import Approval, Run
    from ..runs.against import Prospect


def run_json(run: Run[Any]) -> dict[str, Any]:
    """A run: `run_id`, `thread_id`, `status`, `state`, `approvals`, `usage`, `model`, and what else is kept."""
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "status": str(run.status),
        "state": as_json(run.state),
        "approvals": [approval_json(approval) for approval in run.approvals],
        "usage": asdict(run.usage),
        "model": run.model,
        "tags": list(run.tags),
        "metadata": run.metadata,
        "pruned_at": run.pruned_at.isoformat() if run.pruned_at else None,
        "origins": {name: sorted(origins) for name, origins in run.labels.items()},
    }


def approval_json(approval: Approval) -> dict[str, Any]:
    """An approval: `{"id", "run_id", "thread_id", "kind", "payload", "allowed", "digest", "expires_at"}`."""
    return {
        "id": approval.approval_id,
        "run_id": approval.run_id,
        "thread_id": approval.thread_id,
        "kind": approval.kind,
        "payload": as_json(approval.payload),
        "allowed": list(approval.allowed),
        "digest": approval.digest,
        "expires_at": approval.expires_at.isoformat() if approval.expires_at else None,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding: `{"code", "severity", "node", "field", "message", "fix"}`."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "node": finding.node,
        "field": finding.field,
        "message": finding.message,
        "fix": finding.fix,
    }


def prospect_json(prospect: Prospect) -> dict[str, Any]:
    """What would become of a run: `{"run_id", "status", "version", "outcome", "reason"}`."""
    return asdict(prospect)


def passage_json(passage: Passage) -> dict[str, Any]:
    """A passage that a search found: `{"passage_id", "source", "start", "end", "score", "text", "page"}`."""
    return {
        "passage_id": passage.passage_id,
        "source": passage.source,
        "start": passage.start,
        "end": passage.end,
        "score": passage.score,
        "text": passage.text,
        "page": passage.page,
    }


def found_json(found: Found) -> dict[str, Any]:
    """A passage with why it was found: as `passage_json`, and `{"relevance", "keyword", "vector", "named"}`."""
    return {
        **passage_json(found.passage),
        "relevance": found.passage.relevance,
        "keyword": found.keyword and asdict(found.keyword),
        "vector": found.vector and asdict(found.vector),
        "named": found.named,
        "reranked": found.reranked and asdict(found.reranked),
    }
