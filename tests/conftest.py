"""What all tests share."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No test asserts a wall-clock time: a busy machine may take its time over an example, and over drawing it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A test that leaves a thread of ours fails itself, not a later one that counts threads."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    threads_left = [thread.name for thread in left if thread.name.startswith("collegium")]
    assert not threads_left, "the test left something open, a store say; close it"
