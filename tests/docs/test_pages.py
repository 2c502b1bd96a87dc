"""Every Python block of README and docs runs, and every command they show has verbs and options that exist.

The blocks of one page run in order and share their names, as a reader would type them. Each page runs in an
empty folder with a scripted model by default (`COLLEGIUM_MODEL=scripted` is no server: a block that calls a
model brings a `ScriptedModel`). A block that a reader should not run is not marked `python`.
"""

import ast
import asyncio
import inspect
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if path.exists())
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    code: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[3], text.count("\n", 0, m.start(3)) + 1) for m in FENCE.finditer(text)]


def name_of(page: Path) -> str:
    """The page's path, for the name of the test."""
    return str(page.relative_to(ROOT))


def run_block(block: Block, page: Path, names: dict[str, object]) -> None:
    """Run one block in the page's namespace; top-level `await` works."""
    code: CodeType = compile(
        "\n" * (block.line - 1) + block.code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLEGIUM_MODEL", "scripted")
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    names = vars(module)

    for block in blocks_of(page):
        if block.language == "python":
            run_block(block, page, names)


def commands_of(page: Path) -> list[str]:
    """The `collegium` commands in a page's shell blocks."""
    shells = [block.code for block in blocks_of(page) if block.language in ("sh", "bash", "shell", "console")]
    lines = [line.removeprefix("$ ").strip() for shell in shells for line in shell.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("collegium ")]


def help_of(verb: list[str]) -> str:
    """What `--help` of a verb says; fails where the verb does not exist."""
    run = [sys.executable, "-c", "from collegium.cli import main; main()", *verb, "--help"]
    return subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    for command in commands_of(page):
        words = shlex.split(command, comments=True)[1:]
        verb = words[:2] if words[0] in ("eval", "mcp", "models") else words[:1]
        shown = help_of([word for word in verb if not word.startswith("-")])
        missing = [w for w in words if w.startswith("--") and w.split("=")[0] not in shown]
        assert missing == [], command


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_to_files_that_are_there(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_fastapi_recipe_of_the_readme_runs_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    readme = ROOT / "README.md"
    for block in blocks_of(readme):
        if block.language == "python":
            run_block(block, readme, vars(module))

    with TestClient(vars(module)["app"]) as client:
        client.post("/briefings", params={"question": "When does it open?", "to": "ada"})
        first = waiting_in(client)
        stale = client.post(f"/inbox/{first['id']}", params=answer_with("0" * 64))
        approved = client.post(f"/inbox/{first['id']}", params=answer_with(first["digest"]))
        twice = client.post(f"/inbox/{first['id']}", params=answer_with(first["digest"]))
        second = waiting_in(client)
        done = client.post(f"/inbox/{second['id']}", params=answer_with(second["digest"]))

    assert (first["kind"], second["kind"]) == ("review", "tool_call")
    assert (stale.status_code, twice.status_code) == (409, 409)
    assert "decided already: approve by ada" in twice.json()["detail"]
    assert (approved.json(), done.json()) == ({"status": "waiting"}, {"status": "done"})


def answer_with(digest: str) -> dict[str, str]:
    """What the recipe takes for a decision."""
    return {"approve": "true", "by": "ada", "digest": digest}


def waiting_in(client: Any, limit_s: float = 30) -> dict[str, Any]:
    """The one thing in the inbox, once it is there."""
    end = time.monotonic() + limit_s
    while not (listed := client.get("/inbox").json()):
        assert time.monotonic() < end, "nothing came into the inbox"
        time.sleep(0.02)
    return dict(listed[0])
