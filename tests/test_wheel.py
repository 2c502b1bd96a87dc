"""What is shipped: the wheel holds all of the rooms and the examples, and works without the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shipped_files() -> set[str]:
    """What git tracks in the rooms, in examples and in the package's face, under its name in the wheel."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"examples"}
    inside = {f"collegium/{name}" for name in listed.splitlines() if name.split("/")[0] in rooms}
    return inside | {"collegium/__init__.py", "collegium/py.typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a clean copy of what is tracked (the working tree keeps no build folder)."""
    work = tmp_path_factory.mktemp("wheel")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "--null", "-T", "-", "-cf", work / "tree.tar"], input=names, cwd=ROOT, check=True)
    (work / "tree").mkdir()
    subprocess.run(["tar", "-xf", work / "tree.tar", "-C", work / "tree"], check=True)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work)]
    subprocess.run([sys.executable, *build, str(work / "tree")], check=True, capture_output=True, timeout=300)
    return next(work.glob("collegium-*.whl"))


def test_the_wheel_holds_what_the_tree_holds(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}

    assert names == shipped_files()


def test_a_shipped_example_is_checked_by_name_from_the_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import collegium; assert collegium.__file__.startswith(sys.path[0]), collegium.__file__\n"
        "from collegium.cli import main; main(['check', 'research'])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
