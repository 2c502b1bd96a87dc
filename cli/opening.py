"""From `--db` and a run id to an open Runner that knows the run's graph."""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InvalidInput
from ..core.settings import database_url, policy_file
from .failures import DONE, complain
from .targets import load_target, parse_target
from .text import plural

if TYPE_CHECKING:
    from ..guardrails import Policy
    from ..runs import Runner
    from ..runs.store import Found, Store

_PREFIX = "sqlite:///"


def store_url(given: str | None, *, create: bool = False) -> str | None:
    """The store's URL, or None when the project has no store yet.

    Args:
        given: `--db`.
        create: Make the folder of the default store; a verb that only reads leaves no trace.

    Raises:
        InvalidInput: A store was named (by `--db` or COLLEGIUM_DB) and is not there.
    """
    url = database_url(given)
    if not url.startswith(_PREFIX):
        return url
    file = Path(url.removeprefix(_PREFIX)).absolute()
    url = f"{_PREFIX}{file}"
    if file.exists():
        return url
    named = given or os.environ.get("COLLEGIUM_DB")
    if create:
        if not named:
            _make_home(file.parent)
        return url
    if named:
        raise InvalidInput("--db", f"there is no store at {file}.")
    return None


@asynccontextmanager
async def open_runner(url: str, graphs: Sequence[Any] = (), model: str | None = None) -> AsyncGenerator[Runner]:
    """A Runner for one command: it moves only the run that the command names.

    Raises:
        UnknownModel: The spec names no provider.
        InvalidInput: The policy that COLLEGIUM_POLICY names cannot be read.
    """
    from ..runs import Runner

    if model is not None:
        from ..models import model as resolve

        resolve(model)  # a spec that cannot be read is refused before a run is admitted
    async with Runner(url, graphs=graphs, model=model, policy=_policy(), serve=False) as runner:
        _warn(runner.store)
        yield runner


def _policy() -> Policy | None:
    """The policy that the environment names; it is read before a run is admitted."""
    from ..guardrails import Policy

    file = policy_file()
    return None if file is None else Policy.from_file(file)


async def graph_of_run(url: str, run_id: str) -> Any:
    """The graph that a stored run was started with; the working directory becomes the one it was started in.

    Raises:
        UnknownRun: No such run.
        UnknownTarget: The file or module is not where it was.
        InvalidInput: The run was started by a program, so no TARGET is stored.
    """
    from ..runs.store import Store, runs

    store = Store(url)
    await store.open()
    try:
        _warn(store)
        row = await store.read(lambda conn: runs.get(conn, run_id))
    finally:
        await store.close()
    if row.target is None:
        raise InvalidInput(run_id, f"it was started by a program, not by a TARGET; go on with {row.graph!r} there.")
    folder = Path(row.folder) if row.folder else Path.cwd()
    if not folder.is_dir():
        raise InvalidInput(run_id, f"the folder it was started in, {folder}, is not there.")
    os.chdir(folder)
    return load_target(parse_target(row.target, folder))


def tell_damage(runner: Runner, found: Found[Any]) -> None:
    """Say on standard error that a list is not whole."""
    lines = [line for line in found.damaged if line != runner.store.warning]
    if lines:
        what = f"{plural(len(lines), 'record')} of {runner.store.name} cannot be read or may be hidden"
        complain(f"{what}, so this list is not whole. `collegium doctor` tells what is damaged.", DONE)


def _warn(store: Store) -> None:
    if store.warning:
        complain(f"{store.warning} `collegium doctor` tells what is there.", DONE)


def person(by: str | None) -> str:
    """Who decides: `--by`, else the user's login name."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _make_home(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
