"""A root of one's own: a memory file system, and read-only the few places of the machine that a program needs."""

from __future__ import annotations

import os

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` itself is slow to load
    from ..order import Order

OLD = "/.old"
HOME = "/box"
DEVICES = ("null", "zero", "full", "random", "urandom")
_PASSWD = "box:x:{uid}:{gid}::/box:/bin/false\n"


def build(order: Order, uid: int, gid: int) -> None:
    """Move this process, which is alone in its mount namespace, into the new root."""
    base = "/tmp" if os.path.isdir("/tmp") else "/"
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    options = f"size={order['disk_bytes']},nr_inodes={order['inodes']},mode=755"
    kernel.mount("tmpfs", base, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    os.mkdir(base + OLD)
    os.chdir(base)
    kernel.pivot_root(base, base + OLD)
    os.chdir("/")
    for place in order["readable"]:
        _show(place, read_only=True)
    _devices()
    _folders(uid, gid)
    for name, content in order["given"].items():
        with open(f"{HOME}/{name}", "wb") as file:
            file.write(content)
    if order["folder"]:
        _bind(order["folder"], HOME + "/files", read_only=not order["writable"])
    try:
        # read-only, as what is run by the owner of the machine could else set the kernel's own values
        kernel.mount("proc", _made("/proc"), "proc", kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)
    except OSError:
        pass  # a container that hides parts of its own: then the box has none
    kernel.unmount(OLD)
    os.rmdir(OLD)


def _show(place: str, *, read_only: bool) -> None:
    """A place of the machine under its own name; a link in the root (`/lib` to `usr/lib`) stays a link."""
    if os.path.islink(OLD + place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not os.path.lexists(place):
            os.symlink(os.readlink(OLD + place), place)
    elif os.path.exists(OLD + place):
        _bind(place, place, read_only=read_only)


def _bind(source: str, target: str, *, read_only: bool, devices: bool = False) -> None:
    if os.path.isdir(OLD + source):
        _made(target)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "ab"):
            pass
    kernel.bind(OLD + source, target, read_only=read_only, devices=devices)


def _made(path: str) -> str:
    os.makedirs(path, exist_ok=True)
    return path


def _devices() -> None:
    os.mkdir("/dev")
    for name in DEVICES:
        if os.path.exists(f"{OLD}/dev/{name}"):
            _bind(f"/dev/{name}", f"/dev/{name}", read_only=False, devices=True)
    os.symlink("/proc/self/fd", "/dev/fd")


def _folders(uid: int, gid: int) -> None:
    for path in ("/tmp", "/dev/shm"):
        os.chmod(_made(path), 0o1777)
    os.makedirs("/etc", exist_ok=True)
    with open("/etc/passwd", "w") as file:
        file.write(_PASSWD.format(uid=uid, gid=gid))
    os.chown(_made(HOME), uid, gid)
