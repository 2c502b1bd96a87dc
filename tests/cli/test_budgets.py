"""`--budget`, and a budget extended from the command line."""

from collections.abc import Callable
from typing import Any

import pytest

Command = Callable[..., Any]


def test_a_run_whose_budget_is_spent_waits_and_is_extended_by_an_answer(collegium: Command) -> None:
    waiting = collegium("run", "flow.py", "bob", "--yes", "--budget", "tool_calls=0", "--json")

    (approval,) = waiting.json["approvals"]
    assert (waiting.status, approval["kind"]) == (3, "budget")
    assert approval["payload"] == {"measure": "tool_calls", "limit": 0}
    answered = collegium("answer", approval["id"], "extend", "2", "--json")

    assert answered.json["status"] == "done" or answered.json["approvals"][0]["kind"] == "tool_call"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tokns=5", "--budget: there is no measure 'tokns'. Did you mean 'tokens'?"),
        ("tokens=many", "--budget: tokens needs a whole number, not 'many'."),
        ("usd=", "--budget: usd needs a number, not ''."),
        ("tokens=-4", "budget.tokens: -4 is negative."),
    ],
)
def test_a_budget_that_is_none_is_refused_in_one_line(collegium: Command, given: str, said: str) -> None:
    refused = collegium("run", "flow.py", "bob", "--budget", given)

    assert refused.status == 2
    assert said in refused.line
