"""The members of an archive, one after the other, each checked before it is handed on."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from ...core.errors import ToolError
from .limits import Limits

PIECE_BYTES = 65_536
MAX_PATH_BYTES = 1024
_TAR_AT = 257


@dataclass(frozen=True, slots=True)
class Found:
    """A member as one of the formats gives it."""

    name: str
    is_folder: bool
    size: int
    """As the archive says."""
    refused: str
    """Why it is none that may be written: it is a link, a device, encrypted; else empty."""
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a folder that may be written."""

    parts: list[str]
    is_folder: bool
    size: int
    """As the archive says."""
    pieces: Callable[[], Iterator[bytes]]
    """Its bytes, to be read before the next member is asked for."""


class TooMuch(Exception):
    """More comes out than may; said within the readers, which do not know whose error it is."""


def members(tool: str, file: BinaryIO, limits: Limits, parts_of: Callable[..., list[str]]) -> Iterator[Member]:
    """What an archive holds.

    Args:
        tool: Whose errors are reported.
        file: A zip or a tar archive (plain, gzip, bzip2, xz).
        limits: How much may come out.
        parts_of: From the tool and a name to the components of a path, or a `ToolError`; with `empty=True` it may
            have none.

    Raises:
        ToolError: It is no such archive, is damaged, holds what is not allowed, or more than is allowed.
    """
    packed = os.fstat(file.fileno()).st_size
    if packed > limits.packed_bytes:
        raise ToolError(tool, f"the archive has {packed} bytes; at most {limits.packed_bytes} are allowed.")
    most = limits.of(packed)
    checks = _Checks(tool, limits, most, parts_of)
    with _reading(tool, most):
        for found in _format_of(tool, file)(file, limits, most):
            yield checks.passed(found)


@contextmanager
def _reading(tool: str, most: int) -> Generator[None]:
    try:
        yield
    except TooMuch as error:
        problem = f"more than {most} bytes come out of the archive, which is not allowed for its length."
        raise ToolError(tool, problem) from error
    except (ToolError, OSError):
        raise
    except Exception as error:  # whatever the readers of the standard library stumble over in a damaged archive
        raise ToolError(tool, f"the archive is damaged ({type(error).__name__}: {str(error)[:200]}).") from error


def _format_of(tool: str, file: BinaryIO) -> Callable[[BinaryIO, Limits, int], Iterator[Found]]:
    from .tars import PACKERS, tar_members
    from .zips import zip_members

    head = file.read(_TAR_AT + 5)
    file.seek(0)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return zip_members
    if head[_TAR_AT:] == b"ustar" or any(head.startswith(mark) for mark in PACKERS):
        return tar_members
    raise ToolError(tool, "it is neither a zip nor a tar archive (plain, gzip, bzip2 or xz).")


class _Checks:
    def __init__(self, tool: str, limits: Limits, most: int, parts_of: Callable[..., list[str]]) -> None:
        self.tool, self.limits, self.most, self.parts_of = tool, limits, most, parts_of
        self.files: set[str] = set()
        self.folders: set[str] = set()
        self.unpacked = 0

    def passed(self, found: Found) -> Member:
        """The member, if it may be written."""
        shown = repr(found.name[:200])
        if found.refused:
            raise ToolError(self.tool, f"the archive holds {found.refused}: {shown}.")
        if len(found.name.encode(errors="replace")) > MAX_PATH_BYTES:
            raise ToolError(self.tool, f"the archive holds a name of more than {MAX_PATH_BYTES} bytes: {shown}.")
        parts = self.parts_of(self.tool, found.name, empty=found.is_folder)
        self._take_place(parts, found.is_folder, shown)
        return Member(parts, found.is_folder, found.size, lambda: self._counted(found))

    def _take_place(self, parts: list[str], is_folder: bool, shown: str) -> None:
        """Give a member its place; none may have it already, also where a file system takes two names for one."""
        # compared as the least careful file system would: without case, and in one form of Unicode
        folded = [unicodedata.normalize("NFKC", part).casefold() for part in parts]
        paths = ["/".join(folded[:depth]) for depth in range(1, len(folded) + 1)]
        above, own = (paths, "") if is_folder else (paths[:-1], paths[-1])
        if own in self.files or own in self.folders or self.files & set(above):
            raise ToolError(self.tool, f"the archive holds two members for one place: {shown}.")
        self.files |= {own} - {""}
        self.folders |= set(above)
        if len(self.files) + len(self.folders) > self.limits.members:
            raise ToolError(self.tool, f"the archive holds more than {self.limits.members} files and folders.")

    def _counted(self, found: Found) -> Iterator[bytes]:
        with _reading(self.tool, self.most):
            for piece in found.pieces():
                self.unpacked += len(piece)
                if self.unpacked > self.most:
                    raise TooMuch
                yield piece
