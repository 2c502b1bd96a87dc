"""The tables of the docs say what the code says: each is made from the code here, or compared with it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

import pytest

from collegium.cli.app import app, models_app
from collegium.cli.evaluating import eval_app
from collegium.cli.failures import DONE, FAILED, WAITING, WRONG_USAGE
from collegium.cli.pinning import mcp_app
from collegium.cli.shapes import approval_json, finding_json, found_json, run_json
from collegium.core import errors
from collegium.core.errors import CollegiumError
from collegium.core.trust import ORIGINS, UNTRUSTED_ORIGINS
from collegium.graphs import Finding
from collegium.graphs.findings import Code
from collegium.guardrails import Policy
from collegium.knowledge import Found, Passage
from collegium.knowledge.finding import NAMES, SUFFIXES
from collegium.knowledge.unreadable import Unreadable
from collegium.models import PROFILES, Profile, catalogue
from collegium.runs import KINDS, LIVE_ONLY, Approval, Run, RunStatus
from collegium.runs.decisions import DecisionWord, Kind
from collegium.tools import Effect, FunctionTool, Risk, Tool

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ROOMS = [
    ROOT / name for name in ("agents", "cli", "core", "evals", "graphs", "guardrails", "knowledge", "models", "runs")
]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name: str, first: str) -> list[list[str]]:
    """The cells of the table on a page whose first header is `first`, row by row, without its head."""
    lines = iter(page(name).splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            return [cells(row) for row in _until_blank(lines)]
    raise AssertionError(f"{name} has no table that begins with {first!r}")


def _until_blank(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield line


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def words_in(text: str) -> list[str]:
    """What stands in backticks, blocks of code left out."""
    return re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def first_words(name: str, first: str) -> list[str]:
    return [word for row in rows(name, first) for word in words_in(row[0])]


def code(*names: str | None) -> str:
    return ", ".join(f"`{name}`" for name in names if name)


def provider_row(profile: Profile) -> str:
    """One row of the table of providers."""
    if profile.transport == "scripted":
        return f"| `{profile.provider}` | a `ScriptedModel` handed over as an object | | | | |"
    address = code(profile.address) if profile.address else "beside this process"
    if profile.transport in ("sdk", "anthropic"):
        address = f"the {'openai' if profile.transport == 'sdk' else 'anthropic'} SDK's"
    elif profile.address is None and profile.address_env:
        address = "none: give one"
    others = code(*(f":{port}" for port in profile.more_ports))
    tools = "yes" if profile.tools else "no"
    measured = "measured" if profile.probed else "taken as capable"
    return (
        f"| `{profile.provider}` | {address}{f', also {others}' if others else ''} | {code(*profile.address_env)} "
        f"| {code(*profile.key_env)} | `{profile.structured}`, tools: {tools} | {measured} |"
    )


def test_the_table_of_providers_is_the_one_in_the_code() -> None:
    made = "\n".join(provider_row(profile) for profile in PROFILES.values())

    assert made in page("models.md")


def test_the_table_of_weights_is_the_catalogue() -> None:
    made = [
        f"| `{one.name}` | {one.title} | {one.licence} | {one.level or 'embedder'} | {one.download // 1_000_000} MB |"
        for one in catalogue().values()
    ]

    assert "\n".join(made) in page("models.md")


def test_each_check_has_a_row() -> None:
    assert sorted(row[0].strip("`") for row in rows("graphs.md", "code")) == sorted(get_args(Code))


def error_classes() -> list[type[CollegiumError]]:
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CollegiumError)]
    return [*found, Unreadable]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.code)
def test_each_error_has_a_row_with_its_code_class_and_exit_status(error: type[CollegiumError]) -> None:
    head = f"| `{error.code}` | `{error.__name__}` | {error.exit_status} | "

    assert head in page("errors.md")


def test_no_error_is_listed_that_does_not_exist() -> None:
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page("errors.md"), re.MULTILINE)

    assert sorted(listed) == sorted((error.code, error.__name__) for error in error_classes())


def test_each_kind_of_event_has_a_row_and_says_if_it_is_live_only() -> None:
    listed = {word: row[1] for row in rows("runs.md", "kind") for word in words_in(row[0])}

    assert listed.keys() == KINDS
    assert {kind for kind, data in listed.items() if "live only" in data} == LIVE_ONLY


def test_each_status_of_a_run_has_a_row() -> None:
    assert sorted(first_words("runs.md", "status")) == sorted(get_args(RunStatus))


def test_each_decision_has_a_row() -> None:
    shown = [word.partition("(")[0] for word in first_words("approvals.md", "decision")]
    snake = [re.sub(r"(?<!^)(?=[A-Z])", "_", word).lower() for word in shown]

    assert sorted(snake) == sorted(get_args(DecisionWord))


def test_each_kind_of_approval_is_named() -> None:
    named = set(first_words("approvals.md", "kind"))

    assert named == set(get_args(Kind))


def test_the_table_of_the_policy_is_what_it_decides() -> None:
    for risk, *verdicts in rows("approvals.md", "risk"):
        decided = [
            Policy().decide(declared("read", risk), "untrusted"),
            Policy().decide(declared("unsafe", risk), "trusted"),
            Policy().decide(declared("unsafe", risk), "untrusted"),
            Policy().decide(declared("read", risk), "untrusted", {"to": "https://example.org"}),
        ]
        assert verdicts == decided


def test_each_origin_has_a_row_with_its_trust() -> None:
    told = {word: trust for cell, _, trust in rows("policy.md", "origin") for word in words_in(cell)}

    assert set(told) == set(ORIGINS)
    assert {word for word, trust in told.items() if trust == "untrusted"} == UNTRUSTED_ORIGINS


def declared(effect: Effect, risk: str) -> Tool:
    def act() -> None:
        """Act."""

    return FunctionTool(act, effect=effect, risk=cast("Risk", risk))


def test_the_words_of_tools_have_rows() -> None:
    assert first_words("tools.md", "effect") == list(get_args(Effect))
    assert first_words("tools.md", "risk") == list(get_args(Risk))


def verbs() -> list[str]:
    own = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    groups = {"models": models_app, "eval": eval_app, "mcp": mcp_app}
    below = [f"{group} {command.name}" for group, verbs in groups.items() for command in verbs.registered_commands]
    return [*own, *below]


def test_each_verb_has_a_row() -> None:
    shown = [
        " ".join(re.findall(r"^((?:models|eval|mcp) [a-z]+|[a-z]+)", word)) for word in first_words("cli.md", "verb")
    ]

    assert sorted(shown) == sorted(verbs())


def test_each_exit_status_has_a_row() -> None:
    assert first_words("cli.md", "status") == [str(status) for status in (DONE, FAILED, WRONG_USAGE, WAITING)]


def test_each_variable_of_the_environment_that_the_code_reads_is_named() -> None:
    source = "".join(file.read_text(encoding="utf-8") for room in ROOMS for file in room.rglob("*.py"))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", source))

    assert read - set(words_in(page("cli.md") + page("models.md"))) == set()


def test_the_suffixes_that_are_read_from_folders_are_named() -> None:
    named = set(words_in(page("knowledge.md")))

    assert (SUFFIXES | NAMES) - named == set()


def test_the_json_shapes_are_those_that_are_printed() -> None:
    shown = {row[0]: words_in(row[1]) for row in rows("cli.md", "prints for")}
    approval = Approval("ap", "run", "th", "i", "input", {}, (), None, "d", "pending", datetime.now(UTC), None)
    run: Run[None] = Run("run", "th", "graph", "done", None)
    passage = Passage(passage_id="p", source="s", start=0, end=1, text="t")

    assert shown["`check`"] == list(finding_json(Finding("dead_end", "error", None, None, "", "")))
    assert shown["`run`, `show`, `resume`, `cancel`, `answer`"] == list(run_json(run))
    assert shown["`inbox`, and `approvals` above"] == list(approval_json(approval))
    assert shown["`search`"] == list(found_json(Found(passage, None, None)))
