"""The verbs without a terminal: statuses, JSON shapes, and one line for everything that goes wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

RUN_KEYS = [
    *("run_id", "thread_id", "status", "state", "approvals", "usage", "model", "tags", "metadata", "pruned_at"),
    "origins",
]
APPROVAL_KEYS = ["id", "run_id", "thread_id", "kind", "payload", "allowed", "digest", "expires_at"]


def paid(project: Path) -> list[str]:
    file = project / "paid.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_a_run_without_a_terminal_waits_and_says_how_to_answer(collegium: Command, project: Path) -> None:
    waiting = collegium("run", "flow.py", "bob")

    assert waiting.status == 3
    assert "waits: collegium answer ap-" in waiting.line
    assert paid(project) == []


def test_another_process_answers_and_the_effect_happens_once(process: Command, project: Path) -> None:
    run = process("run", "flow.py", "bob", "--json")
    approval = run.json["approvals"][0]

    answered = process("answer", approval["id"], "approve", "--by", "ada", "--json")
    again = process("approve", approval["id"], "--by", "eve")

    assert (answered.status, answered.json["status"]) == (0, "done")
    assert answered.json["state"]["receipt"]["status"] == "ok"
    assert (again.status, paid(project)) == (1, ["bob 10.0"])
    assert "was decided already: approve by ada at" in again.line


def test_the_json_of_run_show_and_inbox_has_the_promised_keys(collegium: Command) -> None:
    run = collegium("run", "flow.py", "bob", "--json").json
    shown = collegium("show", run["run_id"], "--json").json
    inbox = collegium("inbox", "--json").json

    assert list(run) == list(shown) == RUN_KEYS
    assert list(inbox[0]) == list(run["approvals"][0]) == APPROVAL_KEYS
    assert inbox == run["approvals"] == shown["approvals"]
    assert inbox[0]["kind"] == "tool_call"
    assert inbox[0]["payload"]["args"] == {"to": "bob", "amount": 10.0}
    assert run["state"]["note"] == "for bob"


def test_a_policy_that_the_environment_names_wins_over_the_graphs(
    collegium: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "policy.yaml").write_text("rules: {'*': deny}", "utf-8")
    monkeypatch.setenv("COLLEGIUM_POLICY", "policy.yaml")

    run = collegium("run", "flow.py", "bob", "--json")
    (project / "policy.yaml").write_text("rules: {'*': perhaps}", "utf-8")
    broken = collegium("run", "flow.py", "bob")

    assert run.json["state"]["receipt"]["status"] == "rejected"
    assert (broken.status, paid(project)) == (2, [])
    assert "rules.*: 'perhaps' is none of allow, ask, deny" in broken.line


def test_a_standing_approval_is_given_listed_and_revoked(collegium: Command) -> None:
    run = collegium("run", "flow.py", "bob", "--json").json
    approval = run["approvals"][0]["id"]

    refused = collegium("approve", approval, "--vary", "sum=*")
    done = collegium("approve", approval, "--always", "--vary", "amount=1*", "--by", "ada", "--json")
    listed = collegium("standing", run["run_id"], "--json").json
    shown = collegium("standing", run["run_id"]).out
    revoked = collegium("revoke", approval, "--by", "eve", "--json").json

    assert (refused.status, done.status) == (2, 0)
    assert "no argument 'sum'" in refused.line
    assert [(one["tool"], one["patterns"], one["by"], one["revoked_by"]) for one in listed] == [
        ("pay", {"amount": "1*"}, "ada", None)
    ]
    assert "amount: like 1*" in shown
    assert "1 standing approval." in shown
    assert revoked["revoked_by"] == "eve"
    assert collegium("revoke", "ap-none").status == 2


def test_yes_approves_and_the_record_says_so(collegium: Command, project: Path) -> None:
    done = collegium("run", "flow.py", "bob", "--set", "amount=2.5", "--yes")

    assert (done.status, done.err, paid(project)) == (0, "", ["bob 2.5"])
    assert "approve by --yes" in done.out


def test_an_edit_replaces_the_arguments(collegium: Command, project: Path) -> None:
    approval = collegium("run", "flow.py", "bob", "--json").json["approvals"][0]

    refused = collegium("answer", approval["id"], "edit", '{"to": "bob", "amount": "much"}')
    unknown = collegium("answer", approval["id"], "edit", "--set", "amont=3")
    edited = collegium("answer", approval["id"], "edit", "--set", "amount=3")

    assert (refused.status, unknown.status, edited.status) == (2, 2, 0)
    assert "amount" in refused.line
    assert "amont" in unknown.line
    assert paid(project) == ["bob 3.0"]


def test_a_rejection_carries_its_reason_to_the_result(collegium: Command, project: Path) -> None:
    approval = collegium("run", "flow.py", "bob", "--json").json["approvals"][0]

    rejected = collegium("reject", approval["id"], "we do not know bob", "--json")

    assert rejected.status == 0
    assert rejected.json["state"]["receipt"]["status"] == "rejected"
    assert "we do not know bob" in rejected.json["state"]["receipt"]["content"]
    assert paid(project) == []


def test_a_response_stands_in_for_the_call(collegium: Command, project: Path) -> None:
    approval = collegium("run", "flow.py", "bob", "--json").json["approvals"][0]

    responded = collegium("answer", approval["id"], "respond", "paid in cash", "--json")

    assert responded.json["state"]["receipt"]["status"] == "responded"
    assert paid(project) == []


def test_an_answer_to_another_content_is_refused(collegium: Command, project: Path) -> None:
    approval = collegium("run", "flow.py", "bob", "--json").json["approvals"][0]

    stale = collegium("approve", approval["id"], "--digest", "0" * 64)
    right = collegium("approve", approval["id"], "--digest", approval["digest"][:12])

    assert (stale.status, right.status) == (1, 0)
    assert "another content" in stale.line


def test_a_run_is_answered_from_another_folder(collegium: Command, project: Path, tmp_path_factory: Any) -> None:
    approval = collegium("run", "flow.py", "bob", "--json").json["approvals"][0]
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    answered = collegium("approve", approval["id"], "--db", project / ".collegium" / "collegium.db", cwd=elsewhere)

    assert answered.status == 0
    assert paid(project) == ["bob 10.0"]
    assert list(elsewhere.iterdir()) == []


def test_a_reader_that_goes_away_leaves_no_trace_on_the_screen(project: Path, environment: dict[str, str]) -> None:
    command = f"{sys.executable} -c 'from collegium.cli import main; main()' run flow.py bob --yes | true"

    done = subprocess.run(
        ["bash", "-c", command], cwd=project, env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.stderr == ""


def test_a_run_that_fails_says_why_in_one_line(collegium: Command) -> None:
    failed = collegium("run", "flow.py", "nobody")

    assert failed.status == 1
    assert "there is no such payee" in failed.line


def test_a_cancelled_run_withdraws_its_question(collegium: Command) -> None:
    run = collegium("run", "flow.py", "bob", "--json").json

    cancelled = collegium("cancel", run["run_id"], "--reason", "changed our mind")

    assert cancelled.status == 0
    assert collegium("inbox", "--json").json == []
    assert collegium("runs", "--json").json[0]["status"] == "cancelled"


def test_runs_are_listed_newest_first_and_filtered(collegium: Command) -> None:
    first = collegium("run", "flow.py", "bob", "--json", "--thread", "t-1").json["run_id"]
    second = collegium("run", "flow.py", "bob", "--json", "--yes").json["run_id"]

    assert [run["run_id"] for run in collegium("runs", "--json").json] == [second, first]
    assert [run["run_id"] for run in collegium("runs", "--json", "--status", "waiting").json] == [first]
    assert [run["run_id"] for run in collegium("runs", "--json", "--thread", "t-1").json] == [first]
    assert first in collegium("runs").out


def test_a_name_is_shown_as_it_was_written_and_never_read_as_markup(collegium: Command) -> None:
    for thread in ("closed[/]", "[red]open", "[link=file:///x]far"):
        collegium("run", "flow.py", "bob", "--yes", "--thread", thread)
        assert thread in collegium("runs").out


def test_a_thread_with_an_open_run_takes_no_second_one(collegium: Command) -> None:
    collegium("run", "flow.py", "bob", "--thread", "t-1")

    busy = collegium("run", "flow.py", "bob", "--thread", "t-1")

    assert busy.status == 1
    assert "'t-1' has an unfinished run" in busy.line


def test_reading_leaves_no_trace_where_there_is_no_store(collegium: Command, project: Path) -> None:
    assert collegium("runs", "--json").json == []
    assert collegium("inbox", "--json").json == []
    assert [path.name for path in project.iterdir()] == ["flow.py"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "nowhere.py"], 2, "there is no file"),
        (["run", "reserch"], 2, "Did you mean 'research'"),
        (["run", "flow.py"], 2, "to: "),
        (["run", "flow.py", "bob", "--set", "amout=3"], 2, "Did you mean 'amount'"),
        (["run", "flow.py", "bob", "--set", "amount=much"], 2, "amount: "),
        (["run", "flow.py", "bob", "--input", "nowhere.json"], 2, "nowhere.json"),
        (["run", "flow.py", "bob", "--model", "nosuch:thing"], 2, "nosuch"),
        (["run", "flow.py", "bob", "--db", "nowhere/x.db"], 1, "nowhere"),
        (["run", "flow.py", "bob", "--speed", "3"], 2, "--speed"),
        (["check", "nowhere.py"], 2, "there is no file"),
        (["show", "run-0"], 2, "There is no run 'run-0'"),
        (["resume", "run-0"], 2, "There is no run 'run-0'"),
        (["cancel", "run-0"], 2, "There is no run 'run-0'"),
        (["approve", "ap-0"], 2, "There is no approval 'ap-0'"),
        (["answer", "ap-0", "agree"], 2, "'agree'"),
        (["inbox", "--db", "nowhere.db"], 2, "there is no store"),
        (["runs", "--status", "lost"], 2, "'lost' is not one of"),
        (["search", "nowhere", "question"], 1, "nowhere"),
        (["ingest", "nowhere.md", "--into", "x"], 2, "nowhere.md"),
        (["models", "pull", "nosuch"], 2, "nosuch"),
        (["init", "flow.py"], 2, "flow.py"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_one_line_with_the_right_status(
    collegium: Command, words: list[str], status: int, said: str
) -> None:
    failed = collegium(*words)

    assert (failed.status, failed.out) == (status, "")
    assert said in failed.line


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\x00" + b"\x00" * 500])
def test_a_broken_database_is_one_line(collegium: Command, project: Path, content: bytes) -> None:
    (project / "broken.db").write_bytes(content)

    listed = collegium("runs", "--db", "broken.db")

    if content:
        assert listed.status == 1
        assert "broken.db" in listed.line


def test_an_unexpected_error_is_one_line_and_its_trace_is_kept(collegium: Command, project: Path) -> None:
    (project / "odd.py").write_text("from flow import graph\ngraph.input_schema = 5\n", encoding="utf-8")

    failed = collegium("run", "odd.py", "bob")

    assert failed.status == 1
    file = Path(failed.line.split("The trace is in ")[1].split(" (or")[0])
    assert "Traceback" in file.read_text(encoding="utf-8")
    file.unlink()


def test_a_second_graph_with_the_same_name_does_not_take_over_a_run(collegium: Command, project: Path) -> None:
    run = collegium("run", "flow.py", "bob", "--json").json
    changed = (project / "flow.py").read_text().replace("note: str", "remark: str").replace('"note"', '"remark"')
    (project / "flow.py").write_text(changed, encoding="utf-8")

    refused = collegium("approve", run["approvals"][0]["id"])

    assert refused.status == 1
    assert "has changed" in refused.line


def test_check_reports_findings_as_json_and_by_status(collegium: Command, project: Path) -> None:
    source = (project / "flow.py").read_text() + '\ngraph.add_node("lost", prepare, writes="note")\n'
    (project / "lost.py").write_text(source, encoding="utf-8")

    good, bad = collegium("check", "flow.py", "--json"), collegium("check", "lost.py", "--json")

    assert good.status == 0
    assert [finding for finding in good.json if finding["severity"] == "error"] == []
    assert bad.status == 1
    assert ("unreachable_node", "error", "lost") in [(f["code"], f["severity"], f["node"]) for f in bad.json]
    assert list(bad.json[0]) == ["code", "severity", "node", "field", "message", "fix"]


def waiting_and_failed(collegium: Command) -> list[str]:
    """A run that waits at its payment, and one that failed before it."""
    waits = collegium("run", "flow.py", "--set", "to=bob", "--json").json["run_id"]
    failed = collegium("run", "flow.py", "--set", "to=nobody", "--json").json["run_id"]
    return [waits, failed]


@pytest.mark.parametrize(
    ("old", "new", "outcomes", "said"),
    [
        ("graph = Graph(", "graph = Graph(", ["goes_on", "goes_on"], ""),
        ('    note: str = ""\n', '    note: str = ""\n    more: int = 0\n', ["goes_on", "goes_on"], ""),
        ('"settle"', '"transfer"', ["stranded", "goes_on"], "node 'settle' is gone"),
        (
            'note: str = ""',
            "note: str | None = None",
            ["stranded", "stranded"],
            "field 'note' was str and is str | None",
        ),
    ],
)
def test_check_against_a_store_tells_which_runs_a_change_would_strand(
    collegium: Command, project: Path, old: str, new: str, outcomes: list[str], said: str
) -> None:
    runs = waiting_and_failed(collegium)
    store = project / ".collegium" / "collegium.db"
    before = store.read_bytes()
    source = (project / "flow.py").read_text()
    assert old in source
    (project / "flow.py").write_text(source.replace(old, new), encoding="utf-8")

    told = collegium("check", "flow.py", "--against", store, "--json")
    shown = collegium("check", "flow.py", "--against", f"sqlite:///{store}")

    assert [(one["run_id"], one["outcome"]) for one in told.json["runs"]] == list(zip(runs, outcomes, strict=True))
    stranded = [one["message"] for one in told.json["findings"] if one["code"] == "stranded_run"]
    assert len(stranded) == outcomes.count("stranded")
    assert all(said in message for message in stranded)
    assert told.status == shown.status == (1 if stranded else 0)
    gone = outcomes.count("goes_on")
    assert f"2 runs: {gone} would go on, 0 be migrated, {len(stranded)} be stranded." in shown.out
    assert store.read_bytes() == before


def test_check_against_a_store_tries_migrations_on_the_real_values(collegium: Command, project: Path) -> None:
    waits, failed = waiting_and_failed(collegium)
    source = (project / "flow.py").read_text().replace('name="payment")', 'name="payment", version="2")')
    source += """
def checked(values):
    if values["to"] == "nobody":
        raise ValueError("nobody can be paid")
    return values

graph.add_migration("1", checked)
"""
    (project / "flow.py").write_text(source, encoding="utf-8")

    told = collegium("check", "flow.py", "--against", project / ".collegium" / "collegium.db", "--json")

    found = {one["run_id"]: (one["outcome"], one["reason"]) for one in told.json["runs"]}
    assert found[waits] == ("migrated", "")
    assert found[failed][0] == "stranded"
    assert "ValueError: nobody can be paid" in found[failed][1]


def test_check_against_a_store_that_is_not_there_is_wrong_usage(collegium: Command) -> None:
    assert "there is no store at lost.db" in collegium("check", "flow.py", "--against", "lost.db").line


def test_a_plain_langgraph_graph_is_run_and_answered(collegium: Command, project: Path) -> None:
    (project / "plain.py").write_text(
        """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

class Shared(TypedDict, total=False):
    text: str
    said: str

def ask(state: Shared) -> Shared:
    return {"said": interrupt({"may": state["text"]})}

graph = StateGraph(Shared)
graph.add_node("ask", ask)
graph.add_edge(START, "ask")
graph.add_edge("ask", END)
""",
        encoding="utf-8",
    )
    run = collegium("run", "plain.py", "hello", "--json")

    done = collegium("answer", run.json["approvals"][0]["id"], "respond", "yes", "--json")

    assert (run.status, done.status) == (3, 0)
    assert done.json["state"] == {"text": "hello", "said": "yes"}


def test_the_input_file_gives_fields(collegium: Command, project: Path) -> None:
    (project / "input.json").write_text(json.dumps({"to": "bob", "amount": 7}), encoding="utf-8")

    assert collegium("run", "flow.py", "--input", "input.json", "--yes").status == 0
    assert paid(project) == ["bob 7.0"]
