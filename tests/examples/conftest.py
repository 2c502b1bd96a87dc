"""Weights that the examples need."""

from pathlib import Path

import pytest

from collegium.models import pull_sync


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The embedder's weights, fetched on first use."""
    return pull_sync("minilm")
