"""Every shipped example replays with sockets and processes blocked, twice alike, and keeps no secret."""

import json
import logging
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collegium import Approve, Edit, Graph, Runner
from collegium.agents import Scores, Statement, Statements
from collegium.cli import main
from collegium.cli.targets import example_names, load_target, parse_target
from collegium.core.errors import CassetteMismatch
from collegium.models import pull_sync
from collegium.runs import Respond
from collegium.runs.events import Event
from collegium.testing import Cassette, FunctionModel, ModelCall, ScriptedApprover

QUOTE = "The reading room opens at nine in the morning."
SECRETS = {
    "OPENAI_API_KEY": "sk-proj-Zz9yXw8vUu7tSs6rQq5pOo4n",
    "SHOP_PASSWORD": "correct horse battery",
    "GITHUB_TOKEN": "ghp_0123456789abcdefABCDEF0123456789abcd",
    "PLAIN_SETTING": "not-a-secret-by-its-name",
}
LEAKED = "AKIAIOSFODNN7EXAMPLE and Authorization: Bearer abcdef0123456789 and http://ada:pass-phrase@server/v1"


def answer(call: ModelCall) -> Any:
    """What a capable model would say to the examples; it repeats the secrets that it was told."""
    leak = " ".join(word for word in [*SECRETS.values(), LEAKED] if word in call.prompt)
    match call.output.__name__ if call.output else "":
        case "Plan" | "PlanDraft" | "_Plan":
            step: dict[str, Any] = {"id": "s1", "goal": "opening hours", "agent": "search", "depends_on": []}
            return {"goal": "g", "steps": [step, {**step, "id": "s2", "goal": "lending"}]}
        case "Statements":
            return Statements(statements=[Statement(statement="It opens at nine.", quote=QUOTE)])
        case "Scores":
            names = ["useful"] if "useful" in call.prompt else ["grounded", "answers the question"]
            scores = [{"criterion": name, "reason": f"so {leak}", "score": 0.9} for name in names]
            return Scores.model_validate({"scores": scores})
        case "Remarks":
            return {"remarks": [{"file": "a.py", "line": 1, "text": f"Odd. {leak}"[:300]}]}
        case "":
            return f"a.py:1: Odd. {leak}"
        case _:
            return {"route": "refund"}


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Example to its input, in a folder of its own; the secrets stand in the environment and in what is read."""
    pull_sync("minilm")
    monkeypatch.chdir(tmp_path)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLLEGIUM_SCRUB", "PLAIN_SETTING")
    told = " ".join([*SECRETS.values(), LEAKED])
    for folder, text in {"handbook": f"# Hours\n\n{QUOTE} {told}\n", "src": f"KEYS = '''{told}'''\n"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ("a.py" if folder == "src" else "a.md")).write_text(text, encoding="utf-8")
    return {
        "research": {"question": "When does the reading room open?", "documents": ["handbook"]},
        "review": {"folder": "src"},
        "support": {"ticket": f"My lamp from order A-1001 arrived broken. I want my money back. {told}"},
    }


def person() -> ScriptedApprover:
    return ScriptedApprover([Approve(by="ada"), Approve(by="ada"), Respond("fine", by="ada")])


def graph_of(name: str) -> Graph[Any]:
    graph: Graph[Any] = load_target(parse_target(name))
    return graph


async def record(name: str, given: dict[str, Any]) -> Path:
    path = Path(f"{name}.json")
    approver = ScriptedApprover([Edit({"order_id": "A-1001", "amount": 20.0}, by="ada")])
    with Cassette(path, mode="record"):
        run = await graph_of(name).run(
            given, model=FunctionModel(answer), approver=approver if name == "support" else person()
        )
    assert run.status == "done"
    return path


@contextmanager
def sealed() -> Generator[None]:
    """Neither a socket nor a process can be opened."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was asked outside")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(subprocess.Popen, "__init__", refuse)
        yield


async def replayed(name: str, given: dict[str, Any], path: Path) -> bytes:
    with sealed(), Cassette(path):
        run = await graph_of(name).run(given)
        return b"".join([line(event) async for event in run.events()])


def line(event: Event) -> bytes:
    said = [event.run_id, event.seq, event.kind, event.node, event.at.isoformat(), event.data]
    return json.dumps(said, default=str).encode() + b"\n"


@pytest.mark.embedded
@pytest.mark.parametrize("name", example_names())
async def test_an_example_replays_alike_without_sockets(name: str, inputs: dict[str, dict[str, Any]]) -> None:
    path = await record(name, inputs[name])

    first, second = [await replayed(name, inputs[name], path) for _ in range(2)]

    assert first == second
    assert first.count(b"run_done") == 1


@pytest.mark.embedded
@pytest.mark.parametrize("name", example_names())
async def test_one_other_word_in_a_prompt_of_an_example_is_shown(name: str, inputs: dict[str, dict[str, Any]]) -> None:
    path = await record(name, inputs[name])
    recording: Any = json.loads(path.read_text(encoding="utf-8"))
    call = next(entry for entry in recording["entries"] if entry["kind"] == "model")
    content: Any = call["request"]["messages"][-1]["content"]
    folded = not isinstance(content, str)
    lines: list[str] = content["$lines"] if folded else [content]
    at = next(index for index, text in enumerate(lines) if " " in text)
    lines[at] = lines[at].replace(" ", " swiftly ", 1)
    if not folded:
        call["request"]["messages"][-1]["content"] = lines[0]
    path.write_text(json.dumps(recording), encoding="utf-8")

    with pytest.raises(CassetteMismatch, match=r"\[- ?swiftly ?-\]"):
        await replayed(name, inputs[name], path)


@pytest.mark.embedded
@pytest.mark.parametrize("name", example_names())
async def test_no_secret_is_in_a_cassette_or_a_log(
    name: str, inputs: dict[str, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = await record(name, inputs[name])
    await replayed(name, inputs[name], path)

    written = path.read_text(encoding="utf-8")
    for secret in [*SECRETS.values(), "AKIAIOSFODNN7EXAMPLE", "abcdef0123456789", "pass-phrase"]:
        assert secret not in written
        assert secret not in caplog.text
    assert "<SHOP_PASSWORD>" in written


@pytest.mark.embedded
async def test_a_replay_puts_no_secret_into_a_database(inputs: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    path = await record("support", inputs["support"])
    ticket = json.loads(path.read_text(encoding="utf-8"))["entries"][0]["request"]["messages"][-1]["content"]
    assert SECRETS["SHOP_PASSWORD"] not in json.dumps(ticket)
    graph = graph_of("support")
    given = {"ticket": "My lamp from order A-1001 arrived broken. I want my money back."}
    with Cassette("plain.json", mode="record"):
        await graph.run(given, model=FunctionModel(lambda _: {"route": "delivery"}))
    with Cassette("plain.json"):
        async with Runner("sqlite:///runs.db", graphs=[graph]) as runner:
            await (await runner.start(graph, given)).wait()

    stored = b"".join(file.read_bytes() for file in tmp_path.glob("runs.db*"))  # noqa: ASYNC240 (after the work)
    assert not [name for name, secret in SECRETS.items() if secret.encode() in stored]


def test_the_command_line_records_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> Any:
        with pytest.raises(SystemExit) as left:
            main(words)
        return left.value.code, capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    question = "Do you sell lamps?"
    assert say("run", "support", question, "--record", "support.json", "--json")[0] == 3
    (tmp_path / ".collegium" / "collegium.db").unlink()

    status, shown = say("run", "support", "--replay", "support.json", "--json")
    assert status == 3
    assert json.loads(shown.out)["state"]["ticket"] == question
    assert not list((tmp_path / ".collegium").glob("*.db"))

    assert say("run", "support", "--replay", "none.json")[0] == 1
    assert say("run", "support", "--replay", "support.json", "--db", "x.db")[0] == 2
    assert say("run", "support", "--replay", "support.json", "--record", "x.json")[0] == 2
