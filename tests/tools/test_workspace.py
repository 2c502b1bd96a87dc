"""A workspace reads and writes in its folder and nowhere else."""

import os
from pathlib import Path
from typing import Any

import pytest

from collegium.core.errors import ToolError
from collegium.tools import IdempotencyKey, workspace

KEY = IdempotencyKey("key-1")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "secret.txt").write_text("secret")
    return secret


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, Any]:
    made = workspace(tmp_path / "home", max_read_bytes=100, max_write_bytes=50)
    return {item.name: item.fn for item in made}


def test_what_is_written_can_be_listed_and_read(tools: dict[str, Any], tmp_path: Path) -> None:
    assert tools["list_files"]() == []
    assert tools["write_file"]("notes/a.txt", "grüße", KEY) == {"path": "notes/a.txt", "bytes": 7}
    tools["write_file"]("b.txt", "b", KEY)
    assert tools["list_files"]() == ["b.txt", "notes/a.txt"]
    assert tools["list_files"]("notes") == ["notes/a.txt"]
    assert tools["read_file"]("./notes//a.txt") == "grüße"
    assert sorted(p.name for p in (tmp_path / "home").rglob("*")) == ["a.txt", "b.txt", "notes"]


def test_writing_twice_with_one_key_is_one_effect(tools: dict[str, Any]) -> None:
    first = tools["write_file"]("a.txt", "same", KEY)
    assert tools["write_file"]("a.txt", "same", KEY) == first
    assert tools["list_files"]() == ["a.txt"]


@pytest.mark.parametrize(
    "path", ["../outside/secret.txt", "a/../../x", "/etc/hostname", "..", "", ".", "a\\..\\b", "a\0b"]
)
def test_paths_that_lead_out_are_refused(tools: dict[str, Any], outside: Path, path: str) -> None:
    with pytest.raises(ToolError):
        tools["read_file"](path)
    with pytest.raises(ToolError):
        tools["write_file"](path, "x", KEY)
    assert [p.name for p in outside.iterdir()] == ["secret.txt"]


def test_links_lead_nowhere(tools: dict[str, Any], tmp_path: Path, outside: Path) -> None:
    tools["write_file"]("real.txt", "x", KEY)
    home = tmp_path / "home"
    (home / "folder").symlink_to(outside)
    (home / "file.txt").symlink_to(outside / "secret.txt")
    (home / "inner").symlink_to(home)

    for path in ("folder/secret.txt", "file.txt", "inner/real.txt"):
        with pytest.raises(ToolError):
            tools["read_file"](path)
        with pytest.raises(ToolError):
            tools["write_file"](path, "gone", KEY)
    with pytest.raises(ToolError):
        tools["list_files"]("folder")

    assert (outside / "secret.txt").read_text() == "secret"
    assert tools["list_files"]() == ["real.txt"]


def test_a_hard_link_is_replaced_and_not_written_through(tools: dict[str, Any], tmp_path: Path, outside: Path) -> None:
    tools["write_file"]("a.txt", "x", KEY)
    os.link(outside / "secret.txt", tmp_path / "home" / "hard.txt")
    tools["write_file"]("hard.txt", "mine", KEY)
    assert (outside / "secret.txt").read_text() == "secret"


def test_sizes_are_limited(tools: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="60 bytes"):
        tools["write_file"]("a.txt", "x" * 60, KEY)
    tools["write_file"]("a.txt", "x", KEY)
    (tmp_path / "home" / "big.txt").write_text("x" * 101)
    with pytest.raises(ToolError, match="larger than 100"):
        tools["read_file"]("big.txt")


def test_only_regular_text_files_are_read_and_replaced(tools: dict[str, Any], tmp_path: Path) -> None:
    tools["write_file"]("folder/a.txt", "x", KEY)
    os.mkfifo(tmp_path / "home" / "pipe")
    (tmp_path / "home" / "binary").write_bytes(b"\xff\xfe\x00")
    for path in ("pipe", "folder", "binary", "absent.txt", "absent/a.txt", "folder/a.txt/b"):
        with pytest.raises(ToolError):
            tools["read_file"](path)
    for path in ("pipe", "folder", "folder/a.txt/b"):
        with pytest.raises(ToolError):
            tools["write_file"](path, "x", KEY)


def test_no_descriptor_is_left_open(tools: dict[str, Any]) -> None:
    tools["write_file"]("a/b/c.txt", "x", KEY)
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        tools["list_files"]()
        tools["read_file"]("a/b/c.txt")
        with pytest.raises(ToolError):
            tools["read_file"]("a/x/c.txt")
    assert len(os.listdir("/dev/fd")) == before
