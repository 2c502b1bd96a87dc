"""The seccomp filter: what no program in a box has any business with.

It closes what namespaces and rlimits leave open: sockets, namespaces of one's own (in which memory could be had
that nobody counts), memory that belongs to no process, other processes' memory, and the odd corners of the kernel.
"""

from __future__ import annotations

import os

# name: number on x86_64, number on aarch64
DENIED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "kexec_load": (246, 104), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142),
    "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60), "personality": (135, 92),
    "clock_settime": (227, 112), "settimeofday": (164, 170), "vmsplice": (278, 75),
}  # fmt: skip
_SOCKET = (41, 198)
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_KILLS = {"kill": (62, 129), "tkill": (200, 130), "pidfd_send_signal": (424, 424)}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_NAMESPACES = 0x7E020080  # every CLONE_NEW… flag
_UNIX = 1

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38


def known() -> bool:
    """Whether the filter can be written for this machine."""
    return os.uname().machine in _MACHINES


def program(*, sockets: bool, signals: bool) -> bytes:
    """The filter as BPF.

    Args:
        sockets: Allow Unix sockets, for a box whose file system and network are its own.
        signals: Allow signals to other processes, for a box whose processes are its own.
    """
    column, architecture = _MACHINES[os.uname().machine]
    made = [_step(_LOAD, 4), _step(_EQUAL, architecture, 1, 0), _step(_RETURN, _KILL), _step(_LOAD, 0)]
    if column == 0:  # x32 calls have numbers of their own
        made += [_step(_AT_LEAST, 0x40000000, 0, 1), _step(_RETURN, _ERROR | _ENOSYS)]
    denied = [numbers[column] for numbers in DENIED.values()]
    denied += [] if signals else [numbers[column] for numbers in _KILLS.values()]
    for number in denied:
        made += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ERROR | _EPERM)]
    made += [_step(_EQUAL, _CLONE3[column], 0, 1), _step(_RETURN, _ERROR | _ENOSYS)]  # the C library falls back
    made += [_step(_EQUAL, _CLONE[column], 0, 4), _step(_LOAD, 16), _step(_ANY_BIT, _NAMESPACES, 0, 1)]
    made += [_step(_RETURN, _ERROR | _EPERM), _step(_RETURN, _ALLOW)]
    made += [_step(_EQUAL, _SOCKET[column], 0, 4), _step(_LOAD, 16), _step(_EQUAL, _UNIX if sockets else 0xFFFF, 0, 1)]
    made += [_step(_RETURN, _ALLOW), _step(_RETURN, _ERROR | _EPERM)]
    return b"".join([*made, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")
