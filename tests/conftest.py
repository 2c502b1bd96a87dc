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
    left = [one for one in threading.enumerate() if one not in before and one.name.startswith("collegium")]
    for thread in left:
        thread.join(5)  # one that is ending, as of a store that could not be opened, comes to its end
    threads_left = [thread.name for thread in left if thread.is_alive()]
    assert not threads_left, "the test left something open, a store say; close it"
