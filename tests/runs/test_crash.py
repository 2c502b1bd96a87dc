"""SIGKILL around an effect: it happens at most once by itself, and what is in doubt is shown."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest


def load(name: str) -> ModuleType:
    """A module beside this file, under a name that child processes can import too."""
    path = Path(__file__).with_name(f"{name}.py")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


crashing = load("crashing")

IN_DOUBT = ("after_intent", "after_effect")


@pytest.mark.parametrize("round_number", range(10))
@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_effect", "after_result"])
def test_an_unsafe_effect_never_happens_twice(tmp_path: Path, point: str, round_number: int) -> None:
    (tmp_path / "die_at").write_text(point, encoding="ascii")

    exit_code, _ = crashing.in_child("start", tmp_path)
    assert exit_code == -signal.SIGKILL
    _, found = crashing.in_child("recover", tmp_path)

    assert found is not None
    assert crashing.effects(tmp_path) <= 1
    if point in IN_DOUBT:
        assert (found["status"], found["kinds"]) == ("waiting", ["in_doubt"])
    else:
        assert (found["status"], found["kinds"]) == ("done", [])
        assert crashing.effects(tmp_path) == 1


@pytest.mark.parametrize(
    ("point", "answer", "times", "said"),
    [
        ("after_effect", "happened", 1, "ok: "),
        ("after_intent", "not_happened", 0, "rejected: "),
        ("after_intent", "retry", 1, "ok: paid"),
        ("after_effect", "retry", 2, "ok: paid"),
    ],
)
def test_a_person_settles_what_is_in_doubt(tmp_path: Path, point: str, answer: str, times: int, said: str) -> None:
    (tmp_path / "die_at").write_text(point, encoding="ascii")
    crashing.in_child("start", tmp_path)

    _, found = crashing.in_child("recover", tmp_path, answer)

    assert found is not None
    assert found["status"] == "done"
    assert found["said"].startswith(said)
    assert crashing.effects(tmp_path) == times
