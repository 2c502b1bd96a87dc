"""From a fork of the warden to the program in its box: walls, limits, and no way to gain anything."""

from __future__ import annotations

import os
import resource
import select

from . import filters, kernel, walls

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` itself is slow to load
    from typing import NoReturn

    from ..order import Order


def enter_namespaces(order: Order, uid: int, gid: int, status: int, go: int) -> NoReturn:
    """Process 1 of the box: builds the walls, starts the program, buries the dead. Never returns."""
    try:
        _await(go)
        kernel.unshare(kernel.NEWNS)
        walls.build(order, uid, gid)
        os.chdir(walls.HOME + "/files" if order["inside"] else walls.HOME)
        _become(uid, gid)
        kernel.die_with_parent()  # a change of user forgets it
        _demand_reader(status)
        kernel.be_untraceable()
        _close(sockets=True, signals=True)
        child = os.fork()
    except OSError as error:
        os.write(status, f"failed {error}".encode()[:4000])
        os._exit(1)
    if child == 0:
        os.close(status)
        start(order)
    _bury(child, status)


def enter_filters(order: Order, uid: int, gid: int, status: int, go: int) -> NoReturn:
    """The program where there are no namespaces: in a folder of its own, behind what filters there are."""
    try:
        _await(go)
        os.setsid()
        os.chdir(order["folder"] if order["inside"] else order["work"])
        _become(uid, gid)
        kernel.die_with_parent()
        _demand_reader(status)
        if order["walls"] == "filters":
            readable, writable = [*order["readable"], "/dev/zero", "/dev/urandom"], [order["work"], "/dev/null"]
            if order["folder"]:
                (writable if order["writable"] else readable).append(order["folder"])
            kernel.landlock(readable, writable)
            _close(sockets=False, signals=kernel.landlock_version() >= 6)
    except OSError as error:
        os.write(status, f"failed {error}".encode()[:4000])
        os._exit(1)
    os.close(status)
    start(order)


def start(order: Order) -> NoReturn:
    """Become the program. Never returns."""
    try:
        _limit(order)
        os.execve(order["program"], order["argv"], order["environment"])
    except OSError as error:
        os.write(2, f"{order['program']}: {error.strerror}\n".encode())
    os._exit(127)


def _await(go: int) -> None:
    kernel.die_with_parent()
    if os.read(go, 1) != b"g":  # the warden died before it could be waited for
        os._exit(1)
    os.close(go)


def _demand_reader(status: int) -> None:
    """End here if the warden died while it could not be noticed."""
    poll = select.poll()
    poll.register(status, 0)
    if poll.poll(0):  # nobody holds the other end of the pipe
        os._exit(1)


def _become(uid: int, gid: int) -> None:
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    kernel.gain_nothing()


def _close(*, sockets: bool, signals: bool) -> None:
    if not filters.known():
        raise OSError(38, "no filter is known for this machine")
    kernel.install_filter(filters.program(sockets=sockets, signals=signals))


def _limit(order: Order) -> None:
    """The limits of each process; the warden watches over all of them together."""
    limits = {
        resource.RLIMIT_AS: order["memory_bytes"],
        resource.RLIMIT_CPU: order["cpu_s"],
        resource.RLIMIT_FSIZE: order["file_bytes"],
        resource.RLIMIT_NPROC: order["tasks_of_user"],
        resource.RLIMIT_NOFILE: 128,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # of time the first limit is told, and the second one kills whoever does not listen
        resource.setrlimit(kind, (most, most + 1 if kind == resource.RLIMIT_CPU and hard != most else most))


def _bury(child: int, status: int) -> NoReturn:
    """Wait for every process that is left to this one, until the program itself ends; then all end."""
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    while True:
        ended, code = os.wait()
        if ended == child:
            os.write(status, f"ended {code}".encode())
            os._exit(0)
