"""The warden: a small process that builds a box, watches it, ends it, and says what came of it.

`collegium.tools.sandbox` starts it, with the order on its standard input, which then stays open for as long as the
one who wants the result lives. The answer on its standard output is a line of words, then the
program's output and its errors, each with its length in that line.
"""

from __future__ import annotations

import marshal
import os

from . import watch


def main() -> None:
    """Read one order, carry it out, answer."""
    os.umask(0o022)
    length = int.from_bytes(_exactly(4), "little")
    order = marshal.loads(_exactly(length))
    words, output, errors = watch.carry_out(order)
    _write(f"{words}\n{len(output)} {len(errors)}\n".encode() + output + errors)


def _exactly(count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = os.read(0, count - len(got))
        if not piece:
            os._exit(1)
        got += piece
    return got


def _write(answer: bytes) -> None:
    while answer:
        answer = answer[os.write(1, answer) :]
