"""Every failure of a command as one line and an exit status."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import TextIO

from typer.exceptions import Abort, TyperException

from .text import one_line

DONE, FAILED, WRONG_USAGE, WAITING = 0, 1, 2, 3
"""What a command ends with."""


def guarded(command: Callable[[], int], *, debug: bool) -> int:
    """Run a command; whatever it raises becomes one line on standard error.

    Args:
        command: Does the work and returns the exit status.
        debug: Let an exception through, with its trace.
    """
    try:
        return command()
    except BrokenPipeError:
        # The reader (head, less) has gone; closing what is left must not complain a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (KeyboardInterrupt, Abort):
        return complain("Stopped.", FAILED)
    except Exception as error:  # the boundary to the shell: no trace may reach a user
        if debug:
            raise
        return explained(error)


def explained(error: Exception) -> int:
    """Say in one line what went wrong; returns the exit status."""
    from ..core.errors import CheckFailed, CollegiumError

    match error:
        case TyperException():
            return complain(error.format_message(), WRONG_USAGE)
        case CheckFailed():
            first, more = error.findings[0], len(error.findings) - 1
            tail = f" and {more} more" if more else ""
            message = f"Graph {error.graph!r} cannot run: {first}{tail}. `collegium check` shows all."
            return complain(message, WRONG_USAGE)
        case CollegiumError():
            return complain(str(error), error.exit_status)
        case OSError():
            return complain(f"{error.filename or 'system'}: {error.strerror or error}", FAILED)
        case _:
            return complain(f"{type(error).__name__}: {error}. {_kept(error)}", FAILED)


def complain(message: str, status: int, stream: TextIO | None = None) -> int:
    """Write one line to standard error and hand the status on."""
    print(one_line(f"collegium: {message}"), file=stream or sys.stderr)
    return status


def _kept(error: Exception) -> str:
    trace = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile("w", prefix="collegium-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(trace)
    return f"The trace is in {file.name} (or use collegium --debug)."
