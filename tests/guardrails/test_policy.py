from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.core.errors import CollegiumError, InvalidInput
from collegium.guardrails import Frozen, Policy, Rule, destinations_in
from collegium.guardrails.policy_file import policy_from
from collegium.tools import Tool, tool
from collegium.tools.base import Effect, Risk


def named(name: str, effect: Effect = "unsafe", risk: Risk = "medium", to: bool = False) -> Tool:
    async def call(to: str = "", text: str = "") -> str:
        """Do it."""
        return text

    return cast(Tool, tool(name=name, effect=effect, risk=risk, destinations=["to"] if to else ())(call))


MAIL = {"to": "ada@example.org", "text": "hello"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ada@example.org", ("ada@example.org",)),
        ("Ada <ada@example.org>", ("ada@example.org",)),
        ("ada@example.org <eve@evil.example>", ("ada@example.org", "eve@evil.example")),
        ("mailto:Eve@Evil.example", ("eve@evil.example",)),
        ("https://Example.org:8443/a?b=c", ("example.org",)),
        ("https://example.org./", ("example.org",)),
        ("http://example.org@evil.example/", ("unclear:'http://example.org@evil.example/'",)),
        ("http://evil.example\\@example.org/", ("unclear:'http://evil.example\\\\@example.org/'",)),
        ("http://[oops/", ("unclear:'http://[oops/'",)),
        ("https:evil.example", ("unclear:'https:evil.example'",)),
        ("#general, #evil", ("#general", "#evil")),
        ("DE89 3704 0044", ("de89 3704 0044",)),
        ("", ()),
        (["a@example.org", {"cc": "b@example.org"}], ("a@example.org", "b@example.org")),
        (None, ()),
        (7, ("7",)),
    ],
)
def test_a_declared_argument_names_every_place_it_holds(value: Any, found: tuple[str, ...]) -> None:
    assert destinations_in(named("send", to=True), {"to": value, "text": "see https://other.example"}) == found


def test_of_a_tool_that_declares_none_urls_and_addresses_count_at_any_depth() -> None:
    arguments = {"a": {"b": ["https://evil.example/x"]}, "text": "write to eve@evil.example", "who": "eve@evil.example"}

    assert destinations_in(named("send"), arguments) == ("evil.example", "eve@evil.example")
    assert destinations_in(named("find_user", "read"), arguments) == ("evil.example",)


@pytest.mark.parametrize(
    ("to", "verdict"),
    [
        ("ada@example.org", "allow"),
        ("eve@evil.example", "ask"),
        ("ada@example.org, eve@evil.example", "ask"),
        ("eve@evil.example ada@example.org", "ask"),
        ("ada@example.org <eve@evil.example>", "ask"),
        ("eve@evil.example@example.org", "ask"),
        ("https://api.example.org/x", "allow"),
        ("https://api.example.org.evil.example/x", "ask"),
        ("https://evil.example/.example.org", "ask"),
        ("https://evil.example#.example.org", "ask"),
        ("https://evil.example\\.example.org", "ask"),
        ("evil.example/.example.org", "ask"),
        ("//evil.example/.example.org", "ask"),
        ("evil.example:80@x.example.org", "ask"),
    ],
)
def test_only_what_goes_to_known_places_alone_counts_as_known(to: str, verdict: str) -> None:
    policy = Policy(destinations=["*@example.org", "*.example.org"])

    assert policy.decide(named("send", risk="low", to=True), "untrusted", {"to": to}) == verdict


def test_reading_from_a_place_not_known_asks_once_untrusted_text_had_a_part_in_it() -> None:
    read, url = named("fetch", "read", "low"), {"to": "https://evil.example/?secret=1"}

    assert Policy().decide(read, "untrusted", url) == "ask"
    assert Policy().decide(read, "trusted", url) == "allow"
    assert Policy(destinations=["evil.example"]).decide(read, "untrusted", url) == "allow"
    assert Policy().judge(read, "untrusted", url).destinations == {"evil.example": "unknown"}


def test_rules_look_at_all_that_is_known_of_a_call() -> None:
    policy = Policy(
        [
            Rule("allow", tool="send_*", destination="known", trust="trusted"),
            Rule("deny", effect="act", trust="untrusted", destination="unknown"),
            Rule("ask", tool="send_mail", arguments={"text": "*secret*"}),
            Rule("deny", agent="reader", effect="act"),
        ],
        destinations=["ada@example.org"],
    )
    send = named("send_mail", risk="high", to=True)

    assert policy.decide(send, "trusted", MAIL) == "allow"
    assert policy.decide(send, "trusted", {**MAIL, "text": "a secret"}) == "ask"
    assert policy.decide(send, "untrusted", {**MAIL, "to": "eve@evil.example"}) == "deny"
    assert policy.decide(send, "trusted", MAIL, agent="team/reader/act") == "deny"
    assert policy.decide(send, "untrusted", MAIL) == "ask"
    assert policy.rule_for("send_mail") is None


def test_a_rule_that_names_the_tool_wins_and_of_several_the_strictest() -> None:
    policy = Policy({"*": "deny", "pay_*": "ask", "pay_cash": "allow"})

    assert [policy.rule_for(name) for name in ("pay_cash", "pay_card", "send")] == ["allow", "deny", "deny"]


def test_no_agent_may_call_more_than_it_and_those_around_it_were_granted() -> None:
    policy = Policy(grants={"research": ["find_*"], "act": ["send", "find_mail"], "*": ["look"]})
    verdicts = {
        (agent, name): policy.decide(named(name, "read", "low"), agent=agent)
        for agent in ("research", "act/inner", "research/act", "other", "")
        for name in ("find_mail", "find_file", "send", "look")
    }

    assert {call for call, verdict in verdicts.items() if verdict == "allow"} == {
        ("research", "find_mail"),
        ("research", "find_file"),
        ("act/inner", "find_mail"),
        ("act/inner", "send"),
        ("research/act", "find_mail"),
        ("other", "look"),
        ("", "look"),
    }
    assert Policy(grants={}).decide(named("look", "read", "low"), agent="any") == "deny"
    assert "granted" in policy.judge(named("send"), agent="other").why


def test_with_a_plan_nothing_from_outside_adds_a_tool_or_a_destination() -> None:
    policy = Policy(mode="plan-then-execute", destinations=["team@example.org"])
    plan = Frozen(("send",), "Write to Ada@example.org.")
    send = named("send", to=True)

    assert policy.decide(send, "untrusted", MAIL, frozen=plan) == "ask"
    assert policy.decide(send, "untrusted", {**MAIL, "to": "team@example.org"}, frozen=plan) == "ask"
    assert policy.decide(send, "untrusted", {**MAIL, "to": "eve@evil.example"}, frozen=plan) == "deny"
    assert policy.decide(named("pay"), "untrusted", {}, frozen=plan) == "deny"
    assert policy.decide(send, "untrusted", MAIL) == "deny"
    assert policy.decide(named("read", "read"), "untrusted", {"text": "https://evil.example"}, frozen=plan) == "deny"
    assert policy.decide(named("pay"), "trusted", {}) == "allow"


YAML = """
mode: plan-then-execute
destinations: ["*.example.org", ada@example.org]
grants:
  research: [search, "read_*"]
rules:
  - {verdict: ask, tool: "send_*", trust: untrusted, destination: unknown}
  - verdict: deny
    arguments: {path: "/etc/*"}
"""


def test_a_policy_comes_from_yaml_as_from_code(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(YAML, "utf-8")
    (tmp_path / "policy.json").write_text('{"rules": {"pay": "deny"}}', "utf-8")

    assert Policy.from_file(tmp_path / "policy.yaml") == Policy(
        (
            Rule("ask", tool="send_*", trust="untrusted", destination="unknown"),
            Rule("deny", arguments={"path": "/etc/*"}),
        ),
        ("*.example.org", "ada@example.org"),
        {"research": ("search", "read_*")},
        "plan-then-execute",
    )
    assert Policy.from_file(tmp_path / "policy.json").decide(named("pay")) == "deny"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rules: [{tool: pay}]", "rules[0]"),
        ("rules: [{verdict: maybe}]", "rules[0].verdict"),
        ("rules: {pay: maybe}", "rules.pay"),
        ("rules: [{verdict: ask, risky: high}]", "risk"),
        ("rules: [{verdict: ask, tool: 7}]", "rules[0].tool"),
        ("rules: [{verdict: ask, risk: [high]}]", "rules[0].risk"),
        ("rules: pay", "rules"),
        ("grants: {a: send}", "grants.a"),
        ("destinations: [1]", "destinations"),
        ("mode: yolo", "mode"),
        ("ruels: {}", "rules"),
        ("- 1", "policy.yaml"),
        ("a: [", "YAML"),
        ("a: &x [1]\nb: *x", "alias"),
        ("!!python/object/apply:os.system [ls]", "YAML"),
        ("grants: {a: [*]}", "YAML"),
    ],
)
def test_a_mistake_in_a_policy_is_named_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text, "utf-8")

    with pytest.raises(InvalidInput) as caught:
        Policy.from_file(file)
    assert place in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.yaml"):
        Policy.from_file(tmp_path / "none.yaml")


WORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["ask", "deny", "*", "send"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.sampled_from(["rules", "destinations", "grants", "mode", "verdict", "tool", "arguments", "risk"])


@given(st.dictionaries(PARTS, WORDS | st.lists(st.dictionaries(PARTS, WORDS, max_size=4), max_size=2), max_size=4))
def test_any_plain_value_is_a_policy_that_decides_or_a_typed_error(given_value: dict[str, Any]) -> None:
    try:
        policy = policy_from(given_value)
    except CollegiumError:
        return
    assert policy.decide(named("send"), "untrusted", MAIL, agent="a/b") in ("allow", "ask", "deny")


@given(st.text(max_size=60))
def test_any_text_names_a_place_and_none_of_them_is_known(text: str) -> None:
    send = named("send", risk="low", to=True)
    found = destinations_in(send, {"to": text})

    assert found or not re.sub(r"[\s,;]", "", text)
    if found:
        assert Policy(destinations=["*.example.org"]).decide(send, "untrusted", {"to": text}) == "ask"
