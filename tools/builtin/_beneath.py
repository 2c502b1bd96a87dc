"""Opening files below a folder, so that no path, no link and no race leads out of it.

Linux does the whole walk in one call (`openat2`): beneath the folder, through no symbolic link, no link of `/proc`
and no mount point. Elsewhere each component is opened relative to the descriptor of the one before it, with
`O_NOFOLLOW`. In neither way is anything checked first and used later, so there is nothing to win a race against.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
FOLDER = os.O_RDONLY | _DIRECTORY
READ = os.O_RDONLY | _NONBLOCK
"""Without blocking: opening a FIFO must not wait for somebody who writes to it."""
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL

_OPENAT2 = 437
_BENEATH_WITHOUT_LINKS = 0x08 | 0x04 | 0x02 | 0x01  # BENEATH, NO_SYMLINKS, NO_MAGICLINKS, NO_XDEV
MAX_COMPONENTS = 64

Opener = Callable[[int, "list[str]", int, int], int]


def confines() -> bool:
    """Whether this system can open files relative to a folder at all (POSIX)."""
    return os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


def open_beneath(folder: int, parts: list[str], flags: int, mode: int = 0o644) -> int:
    """The descriptor of what `parts` name below the descriptor `folder`; the folder itself when there are none.

    Raises:
        OSError: It is not there, or a link, a mount point or a file stands in the way.
    """
    if len(parts) > MAX_COMPONENTS:
        raise OSError(errno.ENAMETOOLONG, f"more than {MAX_COMPONENTS} folders deep")
    opener = _by_openat2() or _by_walk
    return opener(folder, parts, flags | _CLOEXEC | _NOFOLLOW, mode)


def open_regular(folder: int, parts: list[str]) -> int:
    """The descriptor, for reading, of a regular file that has one name.

    A file with a second name (a hard link) may belong to somebody outside of the folder, so it is refused.

    Raises:
        OSError: It cannot be opened, or is something else.
    """
    descriptor = open_beneath(folder, parts, READ)
    try:
        demand_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def demand_regular(found: os.stat_result, *, links: bool = False) -> None:
    """Refuse what is no regular file and, without `links`, what has more than one name.

    Raises:
        OSError: It is refused.
    """
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if found.st_nlink > 1 and not links:
        raise OSError(errno.EMLINK, "the file has a second name (a hard link), which may lie elsewhere")


@contextmanager
def folder_beneath(root: str | os.PathLike[str], parts: list[str], *, make: bool = False) -> Generator[int]:
    """The descriptor of a folder below `root`; with `make`, folders that are missing are made on the way.

    Raises:
        OSError: It is not there, or a link, a mount point or a file stands in the way.
    """
    descriptor = os.open(root, FOLDER | _CLOEXEC)
    try:
        if make:
            _make(descriptor, parts)
        folder = open_beneath(descriptor, parts, FOLDER)
    finally:
        os.close(descriptor)
    try:
        yield folder
    finally:
        os.close(folder)


def reason(error: OSError) -> str:
    """Why something could not be opened, in words for a model."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a link or a file stands where a folder is needed"
    if error.errno == errno.EXDEV:
        return "a mount point stands in the way"
    return (error.strerror or str(error)).lower()


def _make(root: int, parts: list[str]) -> None:
    for depth in range(len(parts)):
        parent = open_beneath(root, parts[:depth], FOLDER)
        try:
            with suppress(FileExistsError):
                os.mkdir(parts[depth], dir_fd=parent)
        finally:
            os.close(parent)


def _by_walk(folder: int, parts: list[str], flags: int, mode: int) -> int:
    mount = _mount_of(folder)
    here = os.dup(folder)
    try:
        for position, part in enumerate(parts):
            last = position == len(parts) - 1
            below = os.open(part, flags if last else FOLDER | _CLOEXEC | _NOFOLLOW, mode, dir_fd=here)
            os.close(here)
            here = below
            if _mount_of(here) != mount:
                raise OSError(errno.EXDEV, "a mount point")
    except OSError:
        os.close(here)
        raise
    return here


def _mount_of(descriptor: int) -> tuple[int, str]:
    """What a file is mounted by. The device alone does not tell: a folder may be mounted on another of the same one."""
    device = os.fstat(descriptor).st_dev
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
            return device, next((line for line in lines if line.startswith("mnt_id:")), "")
    except OSError:  # no Linux, or no `/proc`
        return device, ""


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


@cache
def _by_openat2() -> Opener | None:
    """The system call, or None where the kernel has none or a container forbids it."""
    if sys.platform != "linux":
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall

    def opened(folder: int, parts: list[str], flags: int, mode: int) -> int:
        how = _How(flags, mode if flags & os.O_CREAT else 0, _BENEATH_WITHOUT_LINKS)
        name = os.fsencode("/".join(parts) or ".")
        number = ctypes.c_long(_OPENAT2)
        descriptor = call(number, folder, ctypes.c_char_p(name), ctypes.byref(how), ctypes.sizeof(how))
        if descriptor < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return int(descriptor)

    try:
        os.close(opened(_root(), [], FOLDER | _CLOEXEC, 0))
    except OSError:
        return None
    return opened


@cache
def _root() -> int:
    return os.open("/", FOLDER | _CLOEXEC)
