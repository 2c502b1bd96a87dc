"""The `mcpServers` file, the approvals beside it, names, and arguments checked against a foreign schema."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.core.errors import InvalidMcpConfig
from collegium.tools.mcp import McpLimits, McpServers
from collegium.tools.mcp.arguments import UnusableSchema, make_check
from collegium.tools.mcp.config import Server, read_config, read_servers
from collegium.tools.mcp.limits import FloodedError, Meter
from collegium.tools.mcp.pins import Listed, Pins
from collegium.tools.mcp.tool import tool_name


def one(entry: dict[str, Any], name: str = "files") -> Server:
    (server,) = read_servers({"mcpServers": {name: entry}})
    return server


def problem_of(entry: object, **environ: str) -> tuple[str, str, str]:
    """Server, field and text of what is wrong with an entry."""
    with pytest.raises(InvalidMcpConfig) as caught:
        for server in read_servers({"mcpServers": {"files": entry}}):
            server.expanded(environ)
    return caught.value.server, caught.value.field, str(caught.value)


def test_files_of_other_clients_are_read_as_they_are() -> None:
    servers = read_servers(
        {
            "mcpServers": {
                "files": {"command": "npx", "args": ["-y", "files", "/data"], "env": {"TOKEN": "${TOKEN}"}},
                "web": {"type": "streamable-http", "url": "https://example.org/mcp", "headers": {"X-Key": "k"}},
                "off": {"command": "never", "disabled": True},
                "eager": {"command": "x", "type": "stdio", "autoApprove": ["rm"], "alwaysAllow": ["rm"], "timeout": 5},
            },
            "theme": "dark",
        }
    )

    assert [(server.name, server.kind) for server in servers] == [
        ("files", "stdio"),
        ("web", "http"),
        ("eager", "stdio"),
    ]
    assert servers[0].shown == "npx -y files /data with variables TOKEN"
    assert servers[0].expanded({"TOKEN": "t-1"}).env == {"TOKEN": "t-1"}
    # what other clients run without a question is not run without one here
    assert servers[2].settings_of("rm") == ("high", "unsafe")


@pytest.mark.parametrize(
    ("entry", "field", "words"),
    [
        ("npx", "mcpServers", "object"),
        ({"comand": "npx"}, "comand", "Did you mean 'command'?"),
        ({"command": 7}, "command", "valid string"),
        ({"command": "npx", "args": "-y"}, "args", "list"),
        ({"command": "npx", "args": [1]}, "args.0", "string"),
        ({"command": "npx", "env": {"A": 1}}, "env.A", "string"),
        ({}, "command", "either a `command`"),
        ({"command": "npx", "url": "https://x.org"}, "command", "either a `command`"),
        ({"type": "sse", "url": "https://x.org"}, "type", "SSE"),
        ({"type": "carrier pigeon", "url": "https://x.org"}, "type", "stdio or http"),
        ({"type": "stdio", "url": "https://x.org"}, "type", "does not go with `url`"),
        ({"command": "npx", "headers": {"A": "b"}}, "headers", "`url`"),
        ({"url": "ftp://x.org"}, "url", "https://"),
        ({"url": "http://x.org/mcp"}, "url", "plain http"),
        ({"url": "http://127.0.0.1.x.org/mcp"}, "url", "plain http"),
        ({"url": "https://ada:secret@x.org/mcp"}, "url", "headers"),
        ({"url": "https://x.org:99999/mcp"}, "url", "no address"),
        ({"url": "https://x.org", "headers": {"A": "b\r\nC: d"}}, "headers.A", "one line"),
        ({"command": "npx", "args": ["a\0b"]}, "args.0", "no command can hold"),
        ({"command": "npx", "env": {"A=B": "c"}}, "env.A=B", "no name"),
        ({"command": "npx", "args": ["${HOME_OF_NOBODY}"]}, "args.0", "HOME_OF_NOBODY is not set"),
        ({"command": "npx", "env": {"A": "${input:key}"}}, "env.A", "no variable"),
        ({"command": "npx", "collegium": {"risk": "none"}}, "collegium.risk", "'low', 'medium' or 'high'"),
        (
            {"command": "npx", "collegium": {"tools": {"a": {"effect": "checkable"}}}},
            "collegium.tools.a.effect",
            "read",
        ),
        ({"command": "npx", "collegium": {"timeout_s": 0}}, "collegium.timeout_s", "greater than 0"),
    ],
)
def test_what_does_not_fit_is_named_by_server_and_field(entry: object, field: str, words: str) -> None:
    server, named, text = problem_of(entry)

    assert (server, named) == ("files", field)
    assert words in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "mcpServers"),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', "stands twice"),
        ('{"a":' * 100_000, "not JSON"),
        ("x" * 1_000_001, "larger than"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)

    with pytest.raises(InvalidMcpConfig, match=words):
        read_config(path)
    with pytest.raises(InvalidMcpConfig, match="cannot be read"):
        read_config(tmp_path / "none.json")


def test_variables_are_put_in_only_where_they_are_written_in_braces() -> None:
    server = one({"command": "run", "args": ["$HOME", "${NAME}", "${env:NAME}", "${NONE:-rye}", "a${NAME}b", "$(id)"]})

    assert server.expanded({"HOME": "/home/ada", "NAME": "$(rm) ${HOME}"}).args == (
        "$HOME",
        "$(rm) ${HOME}",
        "$(rm) ${HOME}",
        "rye",
        "a$(rm) ${HOME}b",
        "$(id)",
    )


def test_the_user_says_what_a_tool_is_and_the_narrower_word_holds() -> None:
    said = {"risk": "medium", "only": ["a", "b"], "tools": {"a": {"risk": "low", "effect": "read"}}}
    server = one({"command": "x", "collegium": said})

    assert server.settings_of("a") == ("low", "read")
    assert server.settings_of("b") == ("medium", "unsafe")
    assert [server.takes(name) for name in "abc"] == [True, True, False]


@pytest.mark.parametrize(
    "other",
    [
        {"command": "y", "args": ["1"], "env": {"A": "b"}},
        {"command": "x", "args": ["2"], "env": {"A": "b"}},
        {"command": "x", "args": ["1"], "env": {"A": "c"}},
        {"command": "x", "args": ["1"], "env": {"A": "b"}, "cwd": "/"},
    ],
)
def test_another_start_is_another_server(tmp_path: Path, other: dict[str, Any]) -> None:
    server = one({"command": "x", "args": ["1"], "env": {"A": "b"}})
    pins = Pins(tmp_path / "pins.json")
    pins.approve_start(server)
    pins.approve_tools(server, {"t": Listed("t", "A tool.", {})})

    assert pins.start_change(server) is None
    assert pins.start_change(one(other)) is not None
    assert pins.tools(one(other)) == []


def test_approvals_are_read_back_and_a_changed_text_in_the_file_is_noticed(tmp_path: Path) -> None:
    server, tool = one({"command": "x"}), Listed("t", "A tool.", {"type": "object"})
    pins = Pins(tmp_path / "sub" / "pins.json")
    pins.approve_start(server)
    pins.approve_tools(server, {"t": tool})
    pins.save()
    assert Pins(pins.path).tools(server) == [tool]

    pins.path.write_text(pins.path.read_text().replace("A tool.", "Another tool."))
    with pytest.raises(InvalidMcpConfig, match="not the one that was approved"):
        Pins(pins.path)
    pins.path.write_text('{"servers": {"x": 1}}')
    with pytest.raises(InvalidMcpConfig, match="servers.x"):
        Pins(pins.path)


def test_the_digest_is_of_name_description_and_schema() -> None:
    tool = Listed("t", "A tool.", {"type": "object"})
    others = [
        Listed("u", "A tool.", {"type": "object"}),
        Listed("t", "A tool", {"type": "object"}),
        Listed("t", "A tool.", {}),
    ]

    assert tool.digest == Listed("t", "A tool.", {"type": "object"}).digest
    assert tool.digest not in {other.digest for other in others}


NAMES = st.text(st.sampled_from("ab_- .é"), min_size=1, max_size=70)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_two_tools_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    names = tool_name(*one), tool_name(*other)

    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert (names[0] == names[1]) == (one == other)


SCHEMA = {
    "type": "object",
    "properties": {"to": {"type": "string", "maxLength": 5}, "count": {"$ref": "#/$defs/n"}},
    "required": ["to"],
    "additionalProperties": False,
    "$defs": {"n": {"type": "integer", "minimum": 1}},
}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"to": "ada"}, None),
        ({"to": "ada", "count": 2}, None),
        ({}, "'to' is a required property"),
        ({"to": 7}, "'to'"),
        ({"to": "ada", "count": 0}, "'count'"),
        ({"to": "ada", "cc": "eve"}, "'cc'"),
        ({"to": "too long"}, "'to'"),
    ],
)
def test_arguments_are_checked_against_the_schema(arguments: dict[str, Any], words: str | None) -> None:
    problem = make_check(SCHEMA)(arguments)

    assert problem is None if words is None else words in str(problem)


def test_a_schema_cannot_keep_the_program_busy_or_make_it_fetch_anything() -> None:
    evil: dict[str, Any] = {"type": "string", "pattern": "(a+)+$"}
    names: dict[str, Any] = {"properties": {"pattern": {"type": "integer"}}, "patternProperties": {"(a+)+$": {}}}
    doubling = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    bomb = {"$defs": {**doubling, "d40": {"type": "integer"}}, "properties": {"x": {"$ref": "#/$defs/d0"}}}
    endless = {"properties": {"x": {"$ref": "#/properties/x"}}}
    fetching = {"properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}}

    assert make_check({"properties": {"x": evil}})({"x": "a" * 50 + "!"}) is None
    assert make_check({**names, "additionalProperties": False})({"a" * 50 + "!": 1, "pattern": 1}) is None
    assert "'pattern'" in str(make_check(names)({"pattern": "no integer"}))
    assert "more than 50,000 steps" in str(make_check(bomb)({"x": 1}))
    assert "nested too deeply" in str(make_check(endless)({"x": 1}))
    assert "refers to what is not in it" in str(make_check(fetching)({"x": 1}))


@pytest.mark.parametrize(
    "schema",
    [{"type": "array"}, {"$schema": 7}, {"properties": {"x": {"type": "colour"}}}, {"required": "x"}, {"type": 7}],
)
def test_what_is_no_schema_of_an_object_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnusableSchema):
        make_check(schema)


def test_a_meter_fills_again_with_time() -> None:
    now = [0.0]
    meter = Meter(McpLimits(burst_messages=10, messages_per_s=2), lambda: now[0])

    meter.took(0, 10)
    now[0] = 1.0
    meter.took(0, 2)
    with pytest.raises(FloodedError):
        meter.took(0, 1)


def test_making_the_servers_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / ".collegium").mkdir()
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"x": {"command": "touch", "args": [str(tmp_path / "started")]}}}))

    assert McpServers.from_file(path).pins.path == tmp_path / ".collegium" / "mcp-pins.json"
    assert not (tmp_path / "started").exists()
