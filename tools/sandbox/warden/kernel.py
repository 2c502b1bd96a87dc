"""System calls that the standard library has no name for. Standard library only, and little of it: start-up counts."""

from __future__ import annotations

import ctypes
import os

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

_PDEATHSIG, _DUMPABLE, _SECCOMP, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 22, 24, 36, 38
_SIGKILL = 9
_LAST_CAPABILITY = 63
_MOUNT_SETATTR = 442
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True)
_prctl = _libc.prctl
_prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.syscall.restype = ctypes.c_long


def _check(returned: int, what: str) -> int:
    if returned < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return returned


def unshare(flags: int) -> None:
    """Leave namespaces of the parent."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount something."""
    names = (os.fsencode(source), os.fsencode(target), os.fsencode(kind))
    _check(_libc.mount(*names, flags, os.fsencode(options) or None), f"mount {target}")


def bind(source: str, target: str, *, read_only: bool, devices: bool = False) -> None:
    """Show `source`, with all that is mounted below it, at `target`."""
    mount(source, target, "", MS_BIND | MS_REC)
    flags = (MS_RDONLY if read_only else 0) | MS_NOSUID | (0 if devices else MS_NODEV)
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)  # the low MOUNT_ATTR_ bits equal the MS_ ones
    name = ctypes.c_char_p(os.fsencode(target))
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    recursive = ctypes.c_uint(0x8000)
    number = ctypes.c_long(_MOUNT_SETATTR)
    if _libc.syscall(number, -100, name, recursive, attributes, size) < 0:
        # a kernel before 5.12: the top mount only, with the flags that it has and that may be locked
        kept = os.statvfs(target).f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount("", target, "", MS_REMOUNT | MS_BIND | kept | flags)


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root and show the former one at `old`."""
    number = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)
    if number is None:
        raise OSError(38, "pivot_root: unknown machine")
    names = (ctypes.c_char_p(os.fsencode(new)), ctypes.c_char_p(os.fsencode(old)))
    _check(_libc.syscall(ctypes.c_long(number), *names), "pivot_root")


def unmount(target: str) -> None:
    """Detach a mount at once, whoever uses it."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def die_with_parent() -> None:
    """SIGKILL for this process when its parent ends."""
    _check(_prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end."""
    _check(_prctl(_SUBREAPER, 1, 0, 0, 0), "prctl")


def be_untraceable() -> None:
    """Let nobody of the same user trace this process or read its memory."""
    _check(_prctl(_DUMPABLE, 0, 0, 0, 0), "prctl")


def gain_nothing() -> None:
    """Give up every capability, for good: no program that is started can bring one back."""
    _check(_prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    for capability in range(_LAST_CAPABILITY + 1):
        if _prctl(_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def install_filter(program: bytes) -> None:
    """Install a seccomp filter, written as BPF instructions of 8 bytes."""
    text = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("text", ctypes.c_void_p))

    filled = Program(len(program) // 8, ctypes.addressof(text))
    _check(_prctl(_SECCOMP, 2, ctypes.addressof(filled), 0, 0), "seccomp")


def landlock_version() -> int:
    """Which version of Landlock the kernel has; 0 for none."""
    return max(0, int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def landlock(readable: list[str], writable: list[str]) -> None:
    """Restrict this process to what lies below these places, and from sending signals out where that can be had."""
    version = landlock_version()
    every = (1 << min({1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16), 16)) - 1
    network = 3 if version >= 4 else 0
    scopes = 3 if version >= 6 else 0
    rules = (ctypes.c_uint64 * 3)(every, network, scopes)
    size = ctypes.c_size_t(8 if version < 4 else 16 if version < 6 else 24)
    ruleset = _check(int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), rules, size, ctypes.c_uint(0))), "landlock")
    read_and_run = 0b1101  # execute, read a file, read a folder
    for allowed, places in ((read_and_run, readable), (every, writable)):
        for place in places:
            _landlock_rule(ruleset, place, allowed)
    _check(int(_libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT), ruleset, ctypes.c_uint(0))), "landlock")
    os.close(ruleset)


def _landlock_rule(ruleset: int, place: str, allowed: int) -> None:
    try:
        below = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # what cannot be opened here needs no rule
        return
    try:
        if not os.path.isdir(place):
            allowed &= 0b1100000000000111  # what there is to do with a file
        rule = allowed.to_bytes(8, "little") + below.to_bytes(4, "little", signed=True)
        call = (ctypes.c_long(_LANDLOCK_ADD), ruleset, ctypes.c_int(1), ctypes.c_char_p(rule), ctypes.c_uint(0))
        _check(int(_libc.syscall(*call)), f"landlock {place}")
    finally:
        os.close(below)
