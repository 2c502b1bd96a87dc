from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any

import pytest

from collegium.runs.store import ApprovalRow, RunRow, Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

RunMaker = Callable[..., RunRow]
ApprovalMaker = Callable[..., ApprovalRow]
Together = Callable[[str, list[str]], list[list[str]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = Store(str(path))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def run_row() -> RunMaker:
    """Makes a run as it is before admission."""

    def make(run_id: str = "run-0", **changes: Any) -> RunRow:
        row: dict[str, Any] = {
            "run_id": run_id,
            "thread_id": f"thread of {run_id}",
            "graph": "briefing",
            "version": "1",
            "fingerprint": "f",
            "input": b"{}",
            "created_at": NOW,
            "updated_at": NOW,
        }
        return RunRow(**(row | changes))

    return make


@pytest.fixture
def approval_row() -> ApprovalMaker:
    """Makes a question as it is before it is stored."""

    def make(approval_id: str = "ap-0", run_id: str = "run-0", **changes: Any) -> ApprovalRow:
        row: dict[str, Any] = {
            "approval_id": approval_id,
            "run_id": run_id,
            "thread_id": f"thread of {run_id}",
            "interrupt_id": "interrupt-1",
            "interrupt_index": 0,
            "question_key": approval_id,
            "kind": "input",
            "payload": {"prompt": "Which one?"},
            "allowed": ("respond",),
            "digest": f"digest of {approval_id}",
            "created_at": NOW,
        }
        return ApprovalRow(**(row | changes))

    return make


@pytest.fixture
def together(path: Path) -> Together:
    """Runs one role of `store_peer.py` in several processes that start at the same moment; what each printed."""

    def play(role: str, names: list[str]) -> list[list[str]]:
        script = str(Path(__file__).with_name("store_peer.py"))
        command = [executable, "-W", "error", script, role, str(path), *names]
        done = run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.stderr == ""
        said = [line.partition("|") for line in done.stdout.splitlines()]
        return [[text for name, _, text in said if name == mine] for mine in names]

    return play
