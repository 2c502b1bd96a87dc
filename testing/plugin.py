"""pytest fixtures for graphs: `scripted_model`, `cassette`, `auto_approve`; and the option `--cassette`.

pytest loads this file at every start, so it imports the rest when a fixture is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .approvers import Approver
    from .cassettes import Cassette
    from .scripted import ScriptedModel


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cassette`."""
    group = parser.getgroup("collegium")
    group.addoption(
        "--cassette",
        choices=["replay", "record", "rewrite"],
        default="replay",
        help="replay: only from recordings (the default); record: make those that are missing; rewrite: make all anew.",
    )


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Generator[Cassette]:
    """The recording of this test, in use: `cassettes/FILE/TEST.json` beside the test's file.

    Replayed; with `--cassette=record`, one that is missing is recorded, and with `--cassette=rewrite` any. A recording
    is written when the test has passed.
    """
    from .cassettes import Cassette

    name = re.sub(r"[^\w.-]+", "-", str(request.node.name)).strip("-")
    path = request.path.parent / "cassettes" / request.path.stem / f"{name}.json"
    wanted = request.config.getoption("--cassette")
    recording = wanted == "rewrite" or (wanted == "record" and not path.exists())
    with Cassette(path, mode="record" if recording else "replay") as made:
        failures = request.session.testsfailed
        yield made
        if request.session.testsfailed > failures:
            made.drop()


@pytest.fixture
def scripted_model() -> Callable[[Iterable[object]], ScriptedModel]:
    """Makes a `ScriptedModel` from its answers: `scripted_model(["one", "two"])`."""
    from .scripted import ScriptedModel

    return ScriptedModel


@pytest.fixture
def auto_approve() -> Approver:
    """Approves whatever may be approved, as `test`."""
    from .approvers import approve_all

    return approve_all()
