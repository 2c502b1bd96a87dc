"""Files of one folder as tools: list, read, write, and nothing outside it.

Every file is opened beneath the folder in one step that follows no link (`_beneath`). So `..`, absolute paths and
symbolic links cannot lead out, and neither can a link that is put in place between a check and its use: there is no
check.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...core.errors import InvalidTool, ToolError
from ..base import IdempotencyKey
from ..function import FunctionTool, tool
from ._beneath import (
    CREATE,
    FOLDER,
    MAX_COMPONENTS,
    confines,
    demand_regular,
    folder_beneath,
    open_beneath,
    open_regular,
    reason,
)

MAX_FILES = 1000


def workspace(
    folder: str | os.PathLike[str], *, max_read_bytes: int = 200_000, max_write_bytes: int = 1_000_000
) -> list[FunctionTool[..., Any]]:
    """The tools `list_files`, `read_file` and `write_file`, confined to `folder`.

    Reading is `read`, listing of low and reading of medium risk. Writing is `idempotent` (the same content at
    the same path twice is one effect) and of medium risk: it asks once untrusted text had a part in the call.
    Symbolic links and mount points below it are neither followed nor listed; only regular files with a single name
    (no hard links) are read, only regular ones are replaced.

    Args:
        folder: The folder; made on the first write if it is not there. It may itself be a link.
        max_read_bytes: Larger files are refused.
        max_write_bytes: Longer content is refused, in UTF-8 bytes.

    Raises:
        InvalidTool: This system cannot open files relative to a folder (it is not POSIX).
    """
    if not confines():
        raise InvalidTool("workspace", "this system cannot confine paths to a folder (POSIX is needed).")
    root = Path(folder)

    @tool(effect="read", risk="low", origin="file")
    def list_files(subfolder: str = ".") -> list[str]:
        """List the files of the workspace, as paths relative to it.

        Args:
            subfolder: Only the files below this folder; "." for all.
        """
        parts = relative_parts("list_files", subfolder, empty=True)
        if not root.is_dir():
            return []
        with _within("list_files", root, parts) as descriptor:
            return sorted(_walk(descriptor, "".join(f"{part}/" for part in parts), len(parts)))

    @tool(effect="read", risk="medium", origin="file")
    def read_file(path: str) -> str:
        """Read a text file of the workspace.

        Args:
            path: The file, relative to the workspace.
        """
        *folders, name = relative_parts("read_file", path)
        with _within("read_file", root, folders) as parent:
            return _read(parent, name, path, max_read_bytes)

    @tool(effect="idempotent", risk="medium")
    def write_file(path: str, content: str, key: IdempotencyKey) -> dict[str, Any]:
        """Write a text file in the workspace, whole: what stood there is replaced.

        Args:
            path: The file, relative to the workspace; missing folders are made.
            content: The whole text.
            key: Names the attempt's temporary file.
        """
        *folders, name = relative_parts("write_file", path)
        data = _encoded(content)
        if len(data) > max_write_bytes:
            raise ToolError("write_file", f"{path!r}: {len(data)} bytes, {max_write_bytes} are allowed.")
        with _within("write_file", root, folders, make=True) as parent:
            _write(parent, name, path, data, key)
        return {"path": path, "bytes": len(data)}

    return [list_files, read_file, write_file]


def relative_parts(tool_name: str, path: str, *, empty: bool = False) -> list[str]:
    """The components of a path that a model gave.

    Raises:
        ToolError: It is not relative, or leads upward; or it names nothing and `empty` does not allow that.
    """
    if path.startswith("/") or "\\" in path or "\0" in path or not _encodable(path):
        raise ToolError(tool_name, f"{path[:200]!r} is not a path relative to the workspace.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ToolError(tool_name, f"{path[:200]!r} leads out of the workspace; '..' is not allowed.")
    if not parts and not empty:
        raise ToolError(tool_name, f"{path[:200]!r} does not name a file.")
    return parts


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no file can have such a name
        return False
    return True


def _encoded(content: str) -> bytes:
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise ToolError("write_file", f"the content is not text: {error.reason} at {error.start}.") from error


@contextmanager
def _within(tool_name: str, root: Path, parts: list[str], *, make: bool = False) -> Generator[int]:
    """The descriptor of a folder below `root`; what the system refuses meanwhile is a `ToolError`."""
    try:
        if make:
            root.mkdir(parents=True, exist_ok=True)
        with folder_beneath(root, parts, make=make) as descriptor:
            yield descriptor
    except OSError as error:
        place = "/".join(parts) or "."
        raise ToolError(tool_name, f"{place[:200]!r}: {reason(error)}.") from error


def _walk(descriptor: int, prefix: str, depth: int) -> list[str]:
    """The regular files below a folder, at most `MAX_FILES`; links are passed over."""
    found: list[str] = []
    for name in sorted(os.listdir(descriptor)):
        with suppress(OSError):  # it vanished, or turned into a link, while the folder was read
            kind = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            if stat.S_ISREG(kind):
                found.append(prefix + _shown(name))
            elif stat.S_ISDIR(kind) and depth < MAX_COMPONENTS:
                found += _walk_below(descriptor, name, prefix, depth)
        if len(found) >= MAX_FILES:
            break
    return found[:MAX_FILES]


def _walk_below(descriptor: int, name: str, prefix: str, depth: int) -> list[str]:
    below = open_beneath(descriptor, [name], FOLDER)
    try:
        return _walk(below, f"{prefix}{_shown(name)}/", depth + 1)
    finally:
        os.close(below)


def _shown(name: str) -> str:
    """A name as text: bytes that are no UTF-8 become question marks, as no text could name such a file."""
    return os.fsencode(name).decode(errors="replace")


def _read(parent: int, name: str, path: str, limit: int) -> str:
    with os.fdopen(open_regular(parent, [name]), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ToolError("read_file", f"{path!r} is larger than {limit} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ToolError("read_file", f"{path!r} is not UTF-8 text.") from error


def _write(parent: int, name: str, path: str, data: bytes, key: str) -> None:
    with suppress(FileNotFoundError):
        # a hard link may be replaced: the new file is another one, and what the old name leads to stays as it is
        demand_regular(os.stat(name, dir_fd=parent, follow_symlinks=False), links=True)
    # named after the key: an attempt that died half-way is taken up by the next one, not left behind
    part = f".{sha256(f'{key}/{name}'.encode()).hexdigest()[:16]}.part"
    with suppress(FileNotFoundError):
        os.unlink(part, dir_fd=parent)
    descriptor = open_beneath(parent, [part], CREATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=parent)
        raise
