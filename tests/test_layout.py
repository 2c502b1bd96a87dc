"""The rooms: every root package is linked under the import name, and nothing else is."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_root_package_is_linked_into_the_namespace() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} | {"examples"}
    links = {p.name for p in (ROOT / "src" / "collegium").iterdir() if p.is_symlink()}
    assert packages == links


def test_only_the_face_of_the_package_lives_in_src() -> None:
    files = {p.name for p in (ROOT / "src" / "collegium").iterdir() if p.is_file() and not p.is_symlink()}
    assert files == {"__init__.py", "py.typed"}
