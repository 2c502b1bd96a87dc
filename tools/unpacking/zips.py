"""Zip archives."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from .limits import Limits
from .members import PIECE_BYTES, Found

_LEAST_DIRECTORY_BYTES, _ENTRY_BYTES = 1 << 20, 256
_WAYS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_KINDS = {0, stat.S_IFREG, stat.S_IFDIR}
_ENCRYPTED = 0x1


class _Bounded:
    """A file of which no one read takes too much: the list of members is read at one stroke, before any is counted."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        data = self.file.read(self.most + 1 if count < 0 else min(count, self.most + 1))
        if len(data) > self.most:
            raise ValueError("its list of members is too long")
        return data


def zip_members(file: BinaryIO, limits: Limits, most: int) -> Iterator[Found]:
    """The members of a zip archive, in its own order."""
    bounded = _Bounded(file, max(_LEAST_DIRECTORY_BYTES, limits.members * _ENTRY_BYTES))
    with zipfile.ZipFile(cast("BinaryIO", bounded)) as archive:
        for entry in archive.infolist():
            yield _found(archive, entry)


def _found(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Found:
    def pieces() -> Iterator[bytes]:
        with archive.open(entry) as member:
            while piece := member.read(PIECE_BYTES):
                yield piece

    # `orig_filename`, as `filename` ends at a NUL
    return Found(entry.orig_filename, entry.is_dir(), entry.file_size, _refused(entry), pieces)


def _refused(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return "an encrypted member"
    if stat.S_IFMT(entry.external_attr >> 16) not in _KINDS:
        return "a link or a device"
    return "" if entry.compress_type in _WAYS else "a member that is packed in an unusual way"
