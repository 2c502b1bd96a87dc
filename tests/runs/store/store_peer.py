"""A process beside the test: says `ready`, waits for a line, does one thing to the store, prints what came of it.

python store_peer.py ROLE STORE [NAME]
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from multiprocessing.synchronize import Barrier

from collegium.core.errors import AlreadyDecided, StoreUnavailable
from collegium.runs.store import Store, approvals, events, runs, workers

barrier: Barrier


def now() -> datetime:
    return datetime.now(UTC)


def start(path: str) -> Store:
    barrier.wait(60)
    store = Store(path, busy_s=30)
    store.open_now()
    return store


def say(name: str, text: object) -> None:
    os.write(1, f"{name}|{text}\n".encode())  # one write a line: eight processes share the pipe


def open_only(path: str, _: str) -> None:
    store = start(path)
    store.read_now(runs.count)
    store.close_now()


def claim(path: str, name: str) -> None:
    store = start(path)
    store.write_now(lambda conn: workers.register(conn, workers.this_worker(name, now())))
    for round_ in range(20):
        epoch = store.write_now(partial(runs.claim, run_id=f"run-{round_}", worker_id=name, now=now()))
        say(name, f"{round_}:{epoch or 'no'}")
    store.close_now()


def decide(path: str, name: str) -> None:
    store = start(path)
    for round_ in range(20):
        try:
            store.write_now(partial(approve, approval_id=f"ap-{round_}", name=name), full=True)
            say(name, f"{round_}:won")
        except AlreadyDecided as error:
            say(name, f"{round_}:{error.by}")
    store.close_now()


def approve(conn: sqlite3.Connection, approval_id: str, name: str) -> None:
    approvals.decide(conn, approval_id, {"decision": "approve", "by": name}, by=name, now=now())


def append(path: str, name: str) -> None:
    store = start(path)
    for number in range(100):
        store.post(partial(events.append, run_id="run-0", kind="custom", data={name: number}, now=now()))
        if number % 10 == 9:
            store.write_now(lambda conn: events.append(conn, "run-0", "custom", {name: "row"}, now=now()))
    store.close_now()


def die(path: str, _: str) -> None:
    """Post an event, let it be stored, begin a write, and die in the middle of it by SIGKILL."""
    store = start(path)
    store.post(lambda conn: events.append(conn, "run-0", "custom", {"word": "posted"}, now=now()))
    asyncio.run(store.flush())

    def half(conn: sqlite3.Connection) -> None:
        events.append(conn, "run-0", "custom", {"word": "half"}, now=now())
        os.kill(os.getpid(), signal.SIGKILL)

    store.write_now(half)


def fill(path: str, name: str) -> None:
    """Write until the file may not grow any more, then say how many writes were acknowledged."""
    store = start(path)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    done = 0
    try:
        while done < 1000:
            store.write_now(lambda conn: events.append(conn, "run-0", "custom", {"text": "x" * 5000}, now=now()))
            done += 1
    except StoreUnavailable as error:
        say(name, f"{done} {error}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    row = store.write_now(lambda conn: events.append(conn, "run-0", "custom", {"text": "space again"}, now=now()))
    say(name, row.seq)
    store.close_now()


ROLES: dict[str, Callable[[str, str], None]] = {
    "open": open_only,
    "claim": claim,
    "decide": decide,
    "append": append,
    "die": die,
    "fill": fill,
}

if __name__ == "__main__":
    role, path, *names = sys.argv[1:]
    forking = multiprocessing.get_context("fork")
    barrier = forking.Barrier(len(names))
    processes = [forking.Process(target=ROLES[role], args=(path, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
