from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate

from collegium.runs.store import Store
from collegium.runs.store.saver import StoreSaver


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_langgraphs_conformance_suite_passes_in_every_capability(tmp_path: Path, kind: str) -> None:
    @checkpointer_test(name=f"StoreSaver on {kind}")
    async def fresh_saver() -> AsyncGenerator[BaseCheckpointSaver[int], None]:
        store = Store(f"sqlite:///{tmp_path / 'store.db'}" if kind == "file" else "sqlite://:memory:")
        await store.open()
        yield StoreSaver(store)
        await store.close()

    report = await validate(fresh_saver)

    failures = {name: result.failures for name, result in report.results.items() if not result.passed}
    assert failures == {}
    assert len(report.results) == 8
