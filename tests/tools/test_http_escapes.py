"""The short form of the group `web` of `benchmarks.sandbox`: nothing but public addresses of hosts on a list."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # last, as rooms have names that others use, too
from benchmarks.sandbox import web
from benchmarks.sandbox.world import world


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of the machine by itself")
async def test_no_url_no_name_and_no_redirect_leads_to_this_machine(tmp_path: Path) -> None:
    with world(tmp_path / "world") as here:
        outcomes = [outcome async for outcome in web.cases(here, codes=(302, 308))]

    assert [(one.name, one.wrong) for one in outcomes if one.wrong] == []
    assert len(outcomes) == 3 * len(web.PLACES) + 8
