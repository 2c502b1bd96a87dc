"""Files of one folder as tools: list, read, write, and nothing outside it.

A path is opened one component at a time, each relative to the descriptor of the folder before it and
without following links (`openat` with `O_NOFOLLOW`). So `..`, absolute paths and symbolic links cannot
lead out, and neither can a link that is put in place between a check and its use: there is no check.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...core.errors import InvalidTool, ToolError
from ..base import IdempotencyKey
from ..function import FunctionTool, tool

MAX_FILES = 1000
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


def workspace(
    folder: str | os.PathLike[str], *, max_read_bytes: int = 200_000, max_write_bytes: int = 1_000_000
) -> list[FunctionTool[..., Any]]:
    """The tools `list_files`, `read_file` and `write_file`, confined to `folder`.

    Reading is `read`, listing of low and reading of medium risk. Writing is `idempotent` (the same content at
    the same path twice is one effect) and of medium risk: it asks once untrusted text had a part in the call.
    Symbolic links are neither followed nor listed; only regular files are read or replaced.

    Args:
        folder: The folder; made on the first write if it is not there. It may itself be a link.
        max_read_bytes: Larger files are refused.
        max_write_bytes: Longer content is refused, in UTF-8 bytes.

    Raises:
        InvalidTool: This system cannot open files relative to a folder (it is not POSIX).
    """
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        raise InvalidTool("workspace", "this system cannot confine paths to a folder (POSIX is needed).")
    root = Path(folder)

    @tool(effect="read", risk="low", origin="file")
    def list_files(subfolder: str = ".") -> list[str]:
        """List the files of the workspace, as paths relative to it.

        Args:
            subfolder: Only the files below this folder; "." for all.
        """
        if not root.is_dir():
            return []
        with _folder("list_files", root, _parts("list_files", subfolder, empty=True)) as descriptor:
            return sorted(_walk(descriptor, "" if subfolder == "." else subfolder.strip("/") + "/"))

    @tool(effect="read", risk="medium", origin="file")
    def read_file(path: str) -> str:
        """Read a text file of the workspace.

        Args:
            path: The file, relative to the workspace.
        """
        *folders, name = _parts("read_file", path)
        with _folder("read_file", root, folders) as parent:
            return _read(parent, name, path, max_read_bytes)

    @tool(effect="idempotent", risk="medium")
    def write_file(path: str, content: str, key: IdempotencyKey) -> dict[str, Any]:
        """Write a text file in the workspace, whole: what stood there is replaced.

        Args:
            path: The file, relative to the workspace; missing folders are made.
            content: The whole text.
            key: Names the attempt's temporary file.
        """
        *folders, name = _parts("write_file", path)
        data = content.encode()
        if len(data) > max_write_bytes:
            raise ToolError("write_file", f"{path!r}: {len(data)} bytes, {max_write_bytes} are allowed.")
        root.mkdir(parents=True, exist_ok=True)
        with _folder("write_file", root, folders, make=True) as parent:
            _write(parent, name, path, data, key)
        return {"path": path, "bytes": len(data)}

    return [list_files, read_file, write_file]


def _parts(tool_name: str, path: str, *, empty: bool = False) -> list[str]:
    if path.startswith("/") or "\\" in path or "\0" in path:
        raise ToolError(tool_name, f"{path!r} is not a path relative to the workspace.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ToolError(tool_name, f"{path!r} leads out of the workspace; '..' is not allowed.")
    if not parts and not empty:
        raise ToolError(tool_name, f"{path!r} does not name a file.")
    return parts


@contextmanager
def _folder(tool_name: str, root: Path, parts: list[str], *, make: bool = False) -> Generator[int]:
    """The descriptor of a folder below `root`, reached without following a link."""
    with ExitStack() as opened:
        try:
            descriptor = os.open(root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
            opened.callback(os.close, descriptor)
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                descriptor = os.open(part, os.O_RDONLY | _FOLDER, dir_fd=descriptor)
                opened.callback(os.close, descriptor)
            yield descriptor
        except OSError as error:
            raise ToolError(tool_name, f"{'/'.join(parts) or '.'!r}: {_reason(error)}.") from error


def _walk(descriptor: int, prefix: str) -> list[str]:
    """The regular files below a folder, at most `MAX_FILES`; links are passed over."""
    found: list[str] = []
    for name in sorted(os.listdir(descriptor)):
        kind = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISREG(kind):
            found.append(prefix + name)
        elif stat.S_ISDIR(kind):
            below = os.open(name, os.O_RDONLY | _FOLDER, dir_fd=descriptor)
            try:
                found += _walk(below, f"{prefix}{name}/")
            finally:
                os.close(below)
        if len(found) >= MAX_FILES:
            break
    return found[:MAX_FILES]


def _read(parent: int, name: str, path: str, limit: int) -> str:
    descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=parent)
    with os.fdopen(descriptor, "rb") as file:
        _demand_regular("read_file", path, os.fstat(descriptor).st_mode)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ToolError("read_file", f"{path!r} is larger than {limit} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ToolError("read_file", f"{path!r} is not UTF-8 text.") from error


def _write(parent: int, name: str, path: str, data: bytes, key: str) -> None:
    with suppress(FileNotFoundError):
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        _demand_regular("write_file", path, there.st_mode)
    # named after the key: an attempt that died half-way is taken up by the next one, not left behind
    part = f".{sha256(f'{key}/{name}'.encode()).hexdigest()[:16]}.part"
    with suppress(FileNotFoundError):
        os.unlink(part, dir_fd=parent)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o644, dir_fd=parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)


def _demand_regular(tool_name: str, path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ToolError(tool_name, f"{path!r} is not a regular file.")


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a link or a file stands where a folder is needed"
    return (error.strerror or str(error)).lower()
