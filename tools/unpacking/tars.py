"""Tar archives, plain or packed, read from start to end and never backward."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, cast

from .limits import Limits
from .members import PIECE_BYTES, Found, TooMuch

MAX_XZ_MEMORY_BYTES = 96 << 20
_HEADERS_BYTES = 4 << 20
"""What a tar archive may have beside the bytes of its members."""


class _Unpacker(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Gzip:
    """zlib's with the manners of the other two: what is left over is kept inside."""

    def __init__(self) -> None:
        self._made = zlib.decompressobj(wbits=31)
        self._held = b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        unpacked = self._made.decompress(self._held + data, max_length)
        self._held = self._made.unconsumed_tail
        return unpacked

    @property
    def eof(self) -> bool:
        return self._made.eof

    @property
    def needs_input(self) -> bool:
        return not self._held

    @property
    def unused_data(self) -> bytes:
        return self._made.unused_data


def _xz() -> _Unpacker:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY_BYTES)


PACKERS: dict[bytes, Callable[[], _Unpacker]] = {b"\x1f\x8b": _Gzip, b"BZh": bz2.BZ2Decompressor, b"\xfd7zXZ\0": _xz}
"""How a packed archive begins, and what unpacks it."""


class _Forward:
    """The unpacked bytes as a file that goes forward only, in reads of limited length."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.left = file, most
        head = file.read(6)
        file.seek(0)
        self.make = next((make for mark, make in PACKERS.items() if head.startswith(mark)), None)
        self.unpacker = self.make() if self.make else None
        self.position = 0

    def tell(self) -> int:
        return self.position

    def seekable(self) -> bool:
        return True

    def seek(self, position: int) -> int:
        if position < self.position:
            raise ValueError("its parts overlap")
        while self.position < position and self.read(min(PIECE_BYTES, position - self.position)):
            pass
        return self.position

    def read(self, count: int) -> bytes:
        if not 0 <= count <= PIECE_BYTES:
            raise ValueError("a header of it is too long")
        pieces: list[bytes] = []
        while count and (piece := self._piece(count)):
            pieces.append(piece)
            count -= len(piece)
            self.position += len(piece)
            self.left -= len(piece)
            if self.left < 0:
                raise TooMuch
        return b"".join(pieces)

    def demand_end(self) -> None:
        """Read what is left, so that the check sum at the end is looked at, too."""
        while self.read(PIECE_BYTES):
            pass
        if self.unpacker and not self.unpacker.eof:
            raise EOFError("it ends too early")

    def _piece(self, count: int) -> bytes:
        if self.unpacker is None:
            return self.file.read(count)
        while True:
            rest = b""
            if self.unpacker.eof and not (rest := self._next_one()):
                return b""
            if self.unpacker.needs_input and not rest and not (rest := self.file.read(PIECE_BYTES)):
                return b""
            if piece := self.unpacker.decompress(rest, count):
                return piece

    def _next_one(self) -> bytes:
        """How the next one begins, where packed archives stand one behind the other; else what follows is no matter."""
        assert self.unpacker and self.make
        rest = self.unpacker.unused_data or self.file.read(PIECE_BYTES)
        if not any(rest.startswith(mark) for mark in PACKERS):
            return b""
        self.unpacker = self.make()
        return rest


def tar_members(file: BinaryIO, limits: Limits, most: int) -> Iterator[Found]:
    """The members of a tar archive, in its own order."""
    forward = _Forward(file, most + _HEADERS_BYTES)
    with tarfile.open(fileobj=cast("BinaryIO", forward), mode="r:") as archive:
        for entry in archive:
            yield _found(archive, entry)
    forward.demand_end()


def _found(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Found:
    def pieces() -> Iterator[bytes]:
        member = archive.extractfile(entry)
        assert member
        left = entry.size
        while left > 0:
            piece = member.read(min(PIECE_BYTES, left))
            if not piece:
                raise EOFError("it ends in the middle of a member")
            left -= len(piece)
            yield piece

    plain = entry.isdir() or (entry.isreg() and not entry.issparse())
    return Found(entry.name, entry.isdir(), entry.size, "" if plain else "a link, a device or a sparse file", pieces)
