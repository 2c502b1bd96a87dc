"""Archives as tools: what is in one, and unpacking it into a folder of the workspace, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...core.errors import InvalidTool, ToolError
from ..base import IdempotencyKey
from ..function import FunctionTool, tool
from ..unpacking import Limits, Member, members
from ._beneath import CREATE, FOLDER, confines, folder_beneath, open_beneath, open_regular, reason
from .workspace import relative_parts

_PIECE_BYTES = 65_536
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def archives(folder: str | os.PathLike[str], *, limits: Limits | None = None) -> list[FunctionTool[..., Any]]:
    """The tools `list_archive` and `unpack_archive`, confined to `folder` as those of `workspace` are.

    They read zip and tar archives (plain, gzip, bzip2, xz). An archive is refused whole when a name in it leads out of
    its folder, two names fall on one place, it holds a link, a device or an encrypted member, or more comes out of it
    than `limits` allow. An archive inside of an archive is a file like others and is not opened.

    Args:
        folder: The folder that holds the archives and takes what comes out of them.
        limits: How much may come out.

    Raises:
        InvalidTool: This system cannot open files relative to a folder (it is not POSIX).
    """
    if not confines():
        raise InvalidTool("archives", "this system cannot confine paths to a folder (POSIX is needed).")
    root = Path(folder)
    allowed = limits or Limits()

    @tool(effect="read", risk="medium", origin="file")
    def list_archive(path: str) -> list[dict[str, Any]]:
        """List what a zip or tar archive of the workspace holds.

        Args:
            path: The archive, relative to the workspace.
        """
        with _members("list_archive", root, path, allowed) as found:
            return [{"path": "/".join(one.parts), "bytes": one.size} for one in found if not one.is_folder]

    @tool(effect="idempotent", risk="medium", timeout_s=60)
    def unpack_archive(path: str, into: str, key: IdempotencyKey) -> dict[str, Any]:
        """Unpack a zip or tar archive of the workspace into a new folder of it.

        Args:
            path: The archive, relative to the workspace.
            into: The new folder, relative to the workspace; nothing may be there yet.
            key: Names the attempt's temporary folder.
        """
        *folders, name = relative_parts("unpack_archive", into)
        part = f".{sha256(f'{key}/{into}'.encode()).hexdigest()[:16]}.part"
        with (
            _members("unpack_archive", root, path, allowed) as found,
            _refusing("unpack_archive", into),
            folder_beneath(root, folders, make=True) as parent,
            _emptied(parent, part) as made,
        ):
            files, size = _write_all(made, found)
            _put(parent, part, name, into)
        return {"into": into, "files": files, "bytes": size}

    return [list_archive, unpack_archive]


@contextmanager
def _refusing(tool_name: str, path: str) -> Generator[None]:
    """What the system refuses is a `ToolError`."""
    try:
        yield
    except OSError as error:
        raise ToolError(tool_name, f"{path[:200]!r}: {reason(error)}.") from error


@contextmanager
def _members(tool_name: str, root: Path, path: str, limits: Limits) -> Generator[Iterator[Member]]:
    *folders, name = relative_parts(tool_name, path)
    with _refusing(tool_name, path), folder_beneath(root, folders) as parent:
        descriptor = open_regular(parent, [name])
    with os.fdopen(descriptor, "rb") as file, _refusing(tool_name, path):
        yield members(tool_name, file, limits, relative_parts)


@contextmanager
def _emptied(parent: int, part: str) -> Generator[int]:
    """The descriptor of an empty folder, which is gone afterwards unless it was given another name."""
    shutil.rmtree(part, dir_fd=parent, ignore_errors=True)  # what an attempt left that died half-way
    os.mkdir(part, 0o755, dir_fd=parent)
    try:
        made = open_beneath(parent, [part], FOLDER)
        try:
            yield made
        finally:
            os.close(made)
    finally:
        shutil.rmtree(part, dir_fd=parent, ignore_errors=True)


def _write_all(made: int, found: Iterator[Member]) -> tuple[int, int]:
    """Write every member; how many files there are, and how many bytes."""
    files = size = 0
    known: set[tuple[str, ...]] = {()}
    for member in found:
        folders = member.parts if member.is_folder else member.parts[:-1]
        for depth in range(1, len(folders) + 1):
            if tuple(folders[:depth]) not in known:
                with _below(made, folders[: depth - 1]) as above:
                    os.mkdir(folders[depth - 1], 0o755, dir_fd=above)
                known.add(tuple(folders[:depth]))
        if not member.is_folder:
            files, size = files + 1, size + _write(made, member)
    return files, size


def _write(made: int, member: Member) -> int:
    size = 0
    with _below(made, member.parts[:-1]) as folder:
        with os.fdopen(open_beneath(folder, member.parts[-1:], CREATE), "wb") as file:
            for piece in member.pieces():
                size += file.write(piece)
    return size


@contextmanager
def _below(folder: int, parts: list[str]) -> Generator[int]:
    descriptor = open_beneath(folder, parts, FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _put(parent: int, part: str, name: str, into: str) -> None:
    """Give the folder its name. Where an attempt before this one did so already, there is nothing to do."""
    try:
        os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        if not _same(parent, [part], parent, [name]):
            raise ToolError("unpack_archive", f"{into[:200]!r} is there already; name a folder that is not.") from error


def _same(here: int, ours: list[str], there: int, theirs: list[str]) -> bool:
    """Whether a folder holds exactly what ours does, byte by byte."""
    try:
        with _below(here, ours) as first, _below(there, theirs) as second:
            names = sorted(os.listdir(first))
            return names == sorted(os.listdir(second)) and all(_equal(first, second, name) for name in names)
    except OSError:  # a link, or no folder
        return False


def _equal(first: int, second: int, name: str) -> bool:
    if stat.S_ISDIR(os.stat(name, dir_fd=first, follow_symlinks=False).st_mode):
        return _same(first, [name], second, [name])
    with os.fdopen(open_regular(first, [name]), "rb") as one, os.fdopen(open_regular(second, [name]), "rb") as other:
        while (piece := one.read(_PIECE_BYTES)) == other.read(_PIECE_BYTES):
            if not piece:
                return True
    return False
