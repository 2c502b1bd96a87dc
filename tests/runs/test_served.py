"""An application under uvicorn with three worker processes on one SQLite file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

APP = """
    import os
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager
    from pathlib import Path
    from typing import Any

    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

    from collegium.core.errors import CollegiumError
    from collegium.graphs import END, START, Graph, State
    from collegium.runs import Runner, call_tool, decision_from_json
    from collegium.tools import tool


    @tool(effect="unsafe", risk="high")
    async def pay(order: str) -> str:
        "Pay once."
        with open("ledger", "a") as ledger:
            ledger.write(order + "\\n")
        return "paid"


    class Refund(State):
        order: str
        receipt: str = ""


    async def refund(order: str) -> str:
        return (await call_tool(pay, {"order": order})).content


    graph = Graph(Refund, name="refund")
    graph.add_node("refund", refund, writes="receipt")
    graph.add_edge(START, "refund")
    graph.add_edge("refund", END)


    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Runner("sqlite:///runs.db", graphs=[graph], lease_s=2, poll_s=0.05) as runner:
            app.state.runner = runner
            yield


    app = FastAPI(lifespan=lifespan)


    @app.exception_handler(CollegiumError)
    async def explain(request: Request, error: CollegiumError) -> JSONResponse:
        return JSONResponse({"code": error.code, "message": str(error)}, 409)


    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()


    @app.post("/refunds/{order}")
    async def start(order: str) -> dict[str, Any]:
        return {"run_id": (await app.state.runner.start(graph, {"order": order})).run_id}


    @app.get("/runs/{run_id}")
    async def look(run_id: str) -> dict[str, Any]:
        run = await app.state.runner.get(run_id)
        return {"status": run.status, "approvals": [approval.id for approval in run.approvals]}


    @app.post("/approvals/{approval_id}")
    async def answer(approval_id: str, body: dict[str, Any]) -> dict[str, Any]:
        await app.state.runner.answer(approval_id, decision_from_json(body))
        return {"by": body["by"]}
"""

RUNS, PEOPLE, PATIENCE_S = 12, 3, 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    (folder / "served.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "served:app", "--workers", "3", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--log-level", "warning"], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield f"http://127.0.0.1:{port}", server
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait(20)


def ask(url: str, path: str, body: dict[str, Any] | None = None, *, post: bool = False) -> httpx2.Response:
    """One request on a connection of its own, so that any of the processes may take it; again if its process dies."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return httpx2.post(f"{url}{path}", json=body or {}, timeout=30) if post else httpx2.get(f"{url}{path}")
        except httpx2.TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def until(url: str, run_id: str, *wanted: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE_S
    found: dict[str, Any]
    while (found := ask(url, f"/runs/{run_id}").json())["status"] not in wanted:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def orders(folder: Path) -> Counter[str]:
    return Counter((folder / "ledger").read_text("utf-8").splitlines())


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="process groups")
def test_three_processes_serve_one_store_one_dies_and_every_approval_has_one_winner(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _), ThreadPoolExecutor(12) as pool:
        first = ask(url, "/pid").json()
        started = [one.result() for one in [pool.submit(ask, url, f"/refunds/o{n}", post=True) for n in range(RUNS)]]
        assert [one.status_code for one in started] == [200] * RUNS
        run_ids = [one.json()["run_id"] for one in started]
        waiting = [until(url, run_id, "waiting")["approvals"][0] for run_id in run_ids]

        os.kill(first, signal.SIGKILL)
        said = [(approval, f"p{person}") for approval in waiting for person in range(PEOPLE)]
        heard = [one.result() for one in [pool.submit(answered, url, *one) for one in said]]
        ended = [until(url, run_id, "done", "failed")["status"] for run_id in run_ids]

    assert ended == ["done"] * RUNS
    assert {code for _, code in heard} <= {"", "already_decided"}
    assert max(Counter(approval for approval, code in heard if not code).values()) == 1
    assert orders(tmp_path) == {f"o{n}": 1 for n in range(RUNS)}
    assert "locked" not in (tmp_path / "log").read_text("utf-8")


def answered(url: str, approval_id: str, by: str) -> tuple[str, str]:
    """The approval, and the code of the refusal; none for the winner."""
    said = ask(url, f"/approvals/{approval_id}", {"decision": "approve", "by": by}, post=True).json()
    return approval_id, said.get("code", "")
