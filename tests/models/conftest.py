"""No key, address or cache of the machine reaches a test of models; only real weights may be shared."""

from pathlib import Path

import pytest

from collegium.models.compatible.gates import forget_gates
from collegium.models.profiles import PROFILES


@pytest.fixture(autouse=True)
def own_surroundings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("embedded") is None:  # pyright: ignore[reportUnknownMemberType]  (pytest's own)
        monkeypatch.setenv("COLLEGIUM_CACHE", str(tmp_path / "cache"))
    forget_gates()  # a port may be used again by the next test's server
    monkeypatch.delenv("COLLEGIUM_MODEL", raising=False)
    for profile in PROFILES.values():
        for name in (*profile.key_env, *profile.address_env):
            monkeypatch.delenv(name, raising=False)
