"""A project folder with graphs of its own, and the command run in it as a user runs it."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collegium.cli import main

COMMAND = [sys.executable, "-c", "from collegium.cli import main; main()"]

FLOW = '''
"""Pays once a person agrees; each payment is a line in paid.txt."""
import asyncio, os
from pathlib import Path
from collegium import END, START, Graph, State, tool
from collegium.runs import call_tool
from collegium.tools import ToolResult

class Payment(State):
    to: str
    amount: float = 10.0
    note: str = ""
    receipt: ToolResult | None = None

@tool(effect="unsafe", risk="high")
def pay(to: str, amount: float) -> str:
    """Pay.

    Args:
        to: Whom.
        amount: How much.
    """
    with Path("paid.txt").open("a") as file:
        file.write(f"{to} {amount}\\n")
    return "paid"

async def prepare(to: str) -> str:
    while os.environ.get("HOLD") and Path(os.environ["HOLD"]).exists():
        await asyncio.sleep(0.01)
    if to == "nobody":
        raise RuntimeError("there is\\nno such payee")
    return f"for {to}"

async def settle(to: str, amount: float) -> ToolResult:
    return await call_tool(pay, {"to": to, "amount": amount})

graph = Graph(Payment, name="payment")
graph.add_node("prepare", prepare, writes="note")
graph.add_node("settle", settle, writes="receipt")
graph.add_edge(START, "prepare")
graph.add_edge("prepare", "settle")
graph.add_edge("settle", END)
'''


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err + self.out
        return self.err.strip()


Command = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `flow.py`."""
    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    return tmp_path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What the commands see: no colours, no editor, no model of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COLLEGIUM_")}
    for name in ("EDITOR", "VISUAL", "NO_COLOR", "FORCE_COLOR"):
        kept.pop(name, None)
    return {**kept, "TERM": "xterm-256color", "COLUMNS": "120", "USER": "ada", "LOGNAME": "ada"}


@pytest.fixture
def collegium(
    project: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Runs one command in the project without a terminal, in this process; each loads the project anew."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    modules, path = set(sys.modules), list(sys.path)

    def run(*words: str | Path, cwd: Path | None = None) -> Result:
        monkeypatch.chdir(cwd or project)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        forget()
        shown = capsys.readouterr()
        return Result(int(left.value.code or 0), shown.out, shown.err)

    def forget() -> None:
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(project)):
                del sys.modules[name]
        sys.path[:] = path

    yield run
    forget()


@pytest.fixture
def process(project: Path, environment: dict[str, str]) -> Command:
    """As `collegium`, in a process of its own."""

    def run(*words: str | Path, cwd: Path | None = None) -> Result:
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            cwd=cwd or project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


class Screen:
    """A command in a terminal of its own."""

    def __init__(self, words: list[str], cwd: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=cwd,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def until(self, wanted: str, limit_s: float = 30) -> str:
        """Everything shown so far, once `wanted` is in it."""
        end = time.monotonic() + limit_s
        while wanted not in self.text:
            assert time.monotonic() < end, f"{wanted!r} did not come: {self.text}"
            if not self._read(0.2):
                raise AssertionError(f"{wanted!r} did not come before the end: {self.text}")
        return self.text

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self.text = ""
        os.write(self._master, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """The exit status, after reading the rest."""
        while self._read(0.2):
            pass
        return self.process.wait(30)

    def close(self) -> None:
        """Let go of the terminal; a command that still runs is killed."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self, wait_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], wait_s)
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the other side of the terminal is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal(project: Path, environment: dict[str, str]) -> Iterator[Callable[..., Screen]]:
    """Opens a command in a terminal, in the project."""
    opened: list[Screen] = []

    def open_terminal(*words: str, **more: str) -> Screen:
        opened.append(Screen(list(words), project, {**environment, **more}))
        return opened[-1]

    yield open_terminal
    for screen in opened:
        screen.close()
