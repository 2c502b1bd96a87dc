"""Archives of the workspace are listed and unpacked, whole or not at all."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from collegium.core.errors import InvalidTool, ToolError
from collegium.tools import IdempotencyKey, archives
from collegium.tools.unpacking import Limits

KEY = IdempotencyKey("key-1")
CONTENT = {"a.txt": b"grue\xc3\x9fe", "b/c.txt": b"c", "b/d/e.bin": bytes(range(256)) * 400}
KINDS = ("zip", "w:", "w:gz", "w:bz2", "w:xz")

OPEN_TAR: Any = tarfile.open
"""Its types know neither a mode that is not written out, nor `addfile`."""


def packed(kind: str, content: dict[str, bytes], folders: tuple[str, ...] = ()) -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in folders:
                archive.writestr(f"{name}/", b"")
            for name, text in content.items():
                archive.writestr(name, text)
        return file.getvalue()
    with OPEN_TAR(fileobj=file, mode=kind) as made:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0
            made.addfile(entry)
        for name, text in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o6777
            made.addfile(entry, io.BytesIO(text))
    return file.getvalue()


def tools(folder: Path, **limits: int) -> dict[str, Any]:
    return {tool.name: tool.fn for tool in archives(folder, limits=Limits(**limits))}


def found(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_packed_comes_out_and_is_listed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "archive").write_bytes(packed(kind, CONTENT, folders=("b", "empty") if kind == "zip" else (".", "./b")))
    made = tools(tmp_path)

    assert made["list_archive"]("archive") == [{"path": name, "bytes": len(text)} for name, text in CONTENT.items()]
    assert made["unpack_archive"]("archive", "new/place", KEY) == {"into": "new/place", "files": 3, "bytes": 102408}
    assert found(tmp_path / "new/place") == CONTENT
    assert os.listdir(tmp_path / "new") == ["place"]
    assert {path.stat().st_mode & 0o7111 for path in (tmp_path / "new/place").rglob("*") if path.is_file()} == {0}


def test_unpacking_twice_is_one_effect_and_never_replaces_anything_else(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(packed("zip", CONTENT))
    unpack = tools(tmp_path)["unpack_archive"]

    first = unpack("archive", "place", KEY)
    assert unpack("archive", "place", KEY) == first

    (tmp_path / "place/b/c.txt").write_bytes(b"d")
    with pytest.raises(ToolError, match="there already"):
        unpack("archive", "place", KEY)
    assert (tmp_path / "place/b/c.txt").read_bytes() == b"d"
    assert sorted(os.listdir(tmp_path)) == ["archive", "place"]


def test_an_attempt_that_died_half_way_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archive").write_bytes(packed("zip", CONTENT))
    unpack = tools(tmp_path)["unpack_archive"]
    with monkeypatch.context() as broken:
        broken.setattr("shutil.rmtree", mock.Mock())  # as if the process had ended before it could clean up
        with pytest.raises(ToolError):
            tools(tmp_path, unpacked_bytes=10)["unpack_archive"]("archive", "place", KEY)
    assert len(os.listdir(tmp_path)) == 2

    unpack("archive", "place", KEY)

    assert found(tmp_path / "place") == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["archive", "place"]


@pytest.mark.parametrize("kind", ["w:gz", "w:bz2", "w:xz"])
def test_packed_archives_that_stand_one_behind_the_other_are_one(tmp_path: Path, kind: str) -> None:
    whole = packed("w:", CONTENT)
    halves = (whole[:700], whole[700:])
    import bz2
    import gzip
    import lzma

    packs: dict[str, Callable[[bytes], bytes]] = {
        "w:gz": gzip.compress,
        "w:bz2": bz2.compress,
        "w:xz": lzma.compress,
    }
    pack = packs[kind]
    (tmp_path / "archive").write_bytes(b"".join(pack(half) for half in halves) + bytes(512))

    tools(tmp_path)["unpack_archive"]("archive", "place", KEY)

    assert found(tmp_path / "place") == CONTENT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"unpacked_bytes": 102_407}, "more than 102407 bytes"),
        ({"members": 4}, "more than 4 files and folders"),
        ({"packed_bytes": 100}, "at most 100 are allowed"),
    ],
)
def test_more_than_is_allowed_is_refused_whole(tmp_path: Path, kind: str, limits: dict[str, int], why: str) -> None:
    (tmp_path / "archive").write_bytes(packed(kind, CONTENT))

    with pytest.raises(ToolError, match=why):
        tools(tmp_path, **limits)["unpack_archive"]("archive", "place", KEY)
    assert os.listdir(tmp_path) == ["archive"]


@pytest.mark.parametrize("kind", KINDS)
def test_just_as_much_as_is_allowed_comes_out(tmp_path: Path, kind: str) -> None:
    (tmp_path / "archive").write_bytes(packed(kind, CONTENT))

    tools(tmp_path, unpacked_bytes=102_408, members=5)["unpack_archive"]("archive", "place", KEY)


@pytest.mark.parametrize("wrong", [{"members": 0}, {"ratio": 1.5}, {"unpacked_bytes": "many"}])
def test_limits_are_whole_numbers_above_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidTool, match=next(iter(wrong))):
        Limits(**wrong)
