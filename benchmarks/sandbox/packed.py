"""Archives from a stranger: names that lead out, links, bombs, floods of members, and damage."""

from __future__ import annotations

import io
import os
import random
import resource
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from collegium.core.errors import ToolError
from collegium.tools import IdempotencyKey, archives

from .paths import raced
from .world import Outcome, World

GROUP = "archives"
GROWTH_MB = 50
NAMES = {
    "parent": "../evil.txt",
    "parent in the middle": "a/../../evil.txt",
    "absolute": "{outside}/secret.txt",
    "absolute twice": "//{outside}/secret.txt",
    "backslash": "..\\evil.txt",
    "drive": "C:\\evil.txt",
    "NUL": "a.txt\0/../../evil.txt",
    "overlong name": "x" * 300,
    "overlong path": "x/" * 2500 + "y",
    "deeper than allowed": "x/" * 100 + "y",
    "empty": "",
    "dot": ".",
}

OPEN_TAR: Any = tarfile.open
"""Its types know neither a mode that is not written out, nor `addfile`."""


def zipped(members: dict[str, bytes], **marks: int) -> bytes:
    """A zip archive; `marks` are set on each of its entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type = name, zipfile.ZIP_DEFLATED
            for mark, value in marks.items():
                setattr(entry, mark, value)
            archive.writestr(entry, content)
    return file.getvalue()


def tarred(*members: tuple[str, bytes | dict[str, Any]], mode: str = "w:gz") -> bytes:
    """A tar archive of files, given by content, and of others, given by attributes."""
    file = io.BytesIO()
    with OPEN_TAR(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for attribute, value in content.items():
                    setattr(entry, attribute, value)
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _links(world: World) -> Iterator[tuple[str, bytes]]:
    """Members that are no files."""
    secret, outside = str(world.outside / "secret.txt"), str(world.outside)
    link, hard = {"type": tarfile.SYMTYPE, "linkname": secret}, {"type": tarfile.LNKTYPE, "linkname": secret}
    way = {"type": tarfile.SYMTYPE, "linkname": outside}
    yield "tar, link", tarred(("way", link))
    yield "tar, hard link", tarred(("way", hard))
    yield "tar, file through a link", tarred(("way", way), ("way/new.txt", b"x"))
    yield "tar, file over a link", tarred(("way", link), ("way", b"overwritten"))
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        yield f"tar, device of type {kind.decode()}", tarred(("disk", {"type": kind, "devmajor": 8}))
    yield "tar, sparse", tarred(("holes", {"type": tarfile.GNUTYPE_SPARSE}))
    yield "zip, link", zipped({"way": secret.encode()}, external_attr=0o120777 << 16, create_system=3)
    yield "zip, device", zipped({"disk": b""}, external_attr=0o60666 << 16, create_system=3)


def _twice() -> Iterator[tuple[str, bytes]]:
    """Members that fall on one place."""
    composed, decomposed = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
    pairs = {"one name": ("a", "a"), "case": ("a.txt", "A.TXT"), "Unicode": (composed, decomposed)}
    pairs |= {"file and folder": ("a", "a/b"), "folder and file": ("a/b", "a"), "a dot": ("a", "./a")}
    for name, (first, second) in pairs.items():
        yield f"tar, twice: {name}", tarred((first, b"1"), (second, b"2"))
        if first != second:
            yield f"zip, twice: {name}", zipped({first: b"1", second: b"2"})


def _bombs(members: int, size_mb: int) -> Iterator[tuple[str, bytes]]:
    """Much from little."""
    nothing = bytes(size_mb << 20)
    yield "zip, nothing at length", zipped({"big": nothing})
    yield "zip, nothing in 60 members", zipped({f"big-{number}": nothing[: len(nothing) // 60] for number in range(60)})
    for mode in ("w:gz", "w:bz2", "w:xz"):
        yield f"tar, nothing at length, {mode[2:]}", tarred(("big", nothing), mode=mode)
    deep_mb = min(size_mb, 10)
    yield f"zip, {deep_mb} GB of nothing in {deep_mb} MB", _deep_zip(deep_mb << 10)
    yield f"tar, {deep_mb} GB of nothing in {deep_mb} MB", _deep_tar(deep_mb << 10)
    yield "zip that says it is small", _lying(zipped({"big": nothing}), len(nothing))
    yield f"zip of {members} members", _many(members)
    yield f"tar of {members} members", tarred(*((f"{number}", b"") for number in range(min(members, 100_000))))
    long = {"pax_headers": {"comment": "x" * (30 << 20)}}
    yield "tar, a header of 30 MB", tarred(("a", long))
    header = tarfile.TarInfo("a").create_pax_global_header({"comment": "x"})
    yield "tar, headers of headers", header * 20_000 + tarred(("a", b"x"), mode="w:")


def _deflated(megabytes: int, head: bytes = b"") -> bytes:
    """A stream of many megabytes of nothing, made of equal pieces of 1 kB."""
    maker = zlib.compressobj(9, wbits=-15)
    start = maker.compress(head) + maker.flush(zlib.Z_FULL_FLUSH)
    piece = maker.compress(bytes(1 << 20)) + maker.flush(zlib.Z_FULL_FLUSH)
    return start + piece * megabytes + maker.flush()


def _deep_tar(megabytes: int) -> bytes:
    entry = tarfile.TarInfo("deep")
    entry.size = (megabytes << 20) - 1024
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + _deflated(megabytes, entry.tobuf(tarfile.GNU_FORMAT)) + bytes(8)


def _deep_zip(megabytes: int) -> bytes:
    content = _deflated(megabytes)
    sizes = struct.pack("<3L", 0, len(content), 0x7FFFFFFF)
    head = b"PK\3\4" + struct.pack("<5H", 20, 0, 8, 0, 0) + sizes + struct.pack("<2H", 4, 0) + b"deep" + content
    entry = b"PK\1\2" + struct.pack("<6H", 20, 20, 0, 8, 0, 0) + sizes + struct.pack("<5H2L", 4, 0, 0, 0, 0, 0, 0)
    return head + entry + b"deep" + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry) + 4, len(head), 0)


def _lying(archive: bytes, size: int) -> bytes:
    return archive.replace(struct.pack("<L", size), struct.pack("<L", 10))


def _many(count: int) -> bytes:
    """Members that are named in the list at the end, and nowhere else."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    listed = b"".join(entry + b"%08d" % number for number in range(count))
    head = b"PK\3\4" + bytes(26)
    few = count & 0xFFFF
    return head + listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, few, few, len(listed), len(head), 0)


def _odd() -> Iterator[tuple[str, bytes]]:
    """Damage, and what cannot be unpacked."""
    whole, packed = zipped({"a": random.Random(1).randbytes(5000)}), tarred(("a", random.Random(1).randbytes(5000)))
    yield "zip, encrypted", whole.replace(b"PK\1\2\24\3\24\0\0\0", b"PK\1\2\24\3\24\0\1\0")
    yield "zip, cut", whole[: len(whole) // 2]
    yield "tar, cut", packed[: len(packed) // 2]
    yield "zip, changed", whole[:2000] + b"changed" + whole[2007:]
    yield "tar, changed", packed[:2000] + b"changed" + packed[2007:]
    yield "no archive", b"plain text"
    yield "nothing", b""
    yield "only a head", b"PK\3\4"
    yield "an end alone that is too long", b"PK\5\6" + b"\xff" * 18
    yield "7z", b"7z\xbc\xaf\x27\x1c" + bytes(100)


def cases(world: World, tries: int = 2000, members: int = 1_000_000, size_mb: int = 120) -> Iterator[Outcome]:
    """Every archive that must be refused, then what needs a scene of its own."""
    tools = {tool.name: tool.fn for tool in archives(world.folder)}
    for name, path in NAMES.items():
        path = path.replace("{outside}", str(world.outside))
        yield _refused(world, tools, f"zip, name: {name}", zipped({path: b"overwritten"}))
        if "\0" not in path:  # which ends a name in a tar archive
            yield _refused(world, tools, f"tar, name: {name}", tarred((path, b"overwritten")))
    for archive in (*_links(world), *_twice()):
        yield _refused(world, tools, *archive)
    for archive in _bombs(members, size_mb):
        yield _refused(world, tools, *archive)
    for archive in _odd():
        yield _refused(world, tools, *archive)
    yield _flipped(world, tools, tries)
    yield _nested(world, tools)
    yield _places(world, tools)
    yield _race(world, tools, tries)


def _refused(world: World, tools: dict[str, Any], name: str, archive: bytes) -> Outcome:
    """It must be refused in reasonable memory, with nothing written, here or outside."""
    outcome = Outcome(GROUP, name)
    (world.folder / "archive").write_bytes(archive)
    del archive
    world.begin()
    before = sorted(os.listdir(world.folder))
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said = _attempt(outcome, lambda: tools["unpack_archive"]("archive", "into", IdempotencyKey("k")))
    if not isinstance(said, ToolError):
        outcome.wrong.append(f"was not refused: {str(said)[:200]}")
    listed = _attempt(outcome, lambda: tools["list_archive"]("archive"))
    grown_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    if grown_mb > GROWTH_MB:
        outcome.wrong.append(f"grew by {grown_mb:.0f} MB")
    if sorted(os.listdir(world.folder)) != before:
        outcome.wrong.append(f"left {set(os.listdir(world.folder)) - set(before)}")
    outcome.wrong += world.touched(said, str(listed)[:100_000])
    outcome.note = str(said)
    return outcome


def _attempt(outcome: Outcome, call: Callable[[], object]) -> object:
    try:
        return call()
    except ToolError as refusal:
        return refusal
    except Exception as error:  # what is looked for: an error that is not typed
        outcome.wrong.append(f"raised {type(error).__name__}: {error}")
        return error


def _flipped(world: World, tools: dict[str, Any], tries: int) -> Outcome:
    """Archives with a few bytes changed: unpacked as they were, or refused with nothing left."""
    outcome = Outcome(GROUP, f"{tries} changed archives")
    drawn = random.Random(7)
    content = {f"folder/{number}": drawn.randbytes(300) for number in range(5)}
    wholes = [zipped(content)] + [tarred(*content.items(), mode=mode) for mode in ("w:gz", "w:bz2", "w:xz", "w:")]
    world.begin()
    refused = 0
    for turn in range(tries):
        changed = bytearray(wholes[turn % len(wholes)])
        for _ in range(drawn.randint(1, 4)):
            changed[drawn.randrange(len(changed))] = drawn.randrange(256)
        (world.folder / "archive").write_bytes(changed)
        said = _attempt(outcome, lambda: tools["unpack_archive"]("archive", "deep/into", IdempotencyKey("k")))
        refused += isinstance(said, ToolError)
        left = os.listdir(world.folder / "deep") if (world.folder / "deep").exists() else []
        if left != ([] if isinstance(said, ToolError) else ["into"]):
            outcome.wrong.append(f"left {left} after {said}")
        if left:
            (world.folder / "deep/into").rename(world.folder / f"done-{turn}")
    outcome.wrong += world.touched()
    outcome.note = f"{refused} refused"
    return outcome


def _nested(world: World, tools: dict[str, Any]) -> Outcome:
    """An archive of archives, five deep and sixteen wide: the inner ones stay what they are."""
    outcome = Outcome(GROUP, "archives in archives")
    inner = zipped({"0": bytes(1 << 20)})
    for _ in range(4):
        inner = zipped({f"{number}.zip": inner for number in range(16)})
    (world.folder / "archive").write_bytes(inner)
    unpack: Callable[..., object] = tools["unpack_archive"]
    said = _attempt(outcome, lambda: unpack("archive", "nest", IdempotencyKey("k")))
    outcome.note = str(said)
    files = [path for path in (world.folder / "nest").rglob("*") if path.is_file()]
    if len(files) != 16 or sum(path.stat().st_size for path in files) > 1 << 20:
        outcome.wrong.append(f"{len(files)} files: {said}")
    return outcome


def _places(world: World, tools: dict[str, Any]) -> Outcome:
    """Places for what comes out, and for the archive itself, that lead out or are taken."""
    outcome = Outcome(GROUP, "places")
    home = world.folder
    (home / "archive").write_bytes(zipped({"secret.txt": b"overwritten"}))
    (world.outside / "archive.zip").write_bytes(zipped({"secret.txt": b"x"}))
    (home / "link.zip").symlink_to(world.outside / "archive.zip")
    os.link(world.outside / "archive.zip", home / "hard.zip")
    (home / "way").symlink_to(world.outside)
    (home / "full").mkdir()
    (home / "full/mine.txt").write_text("mine", "utf-8")
    (home / "file").write_text("mine", "utf-8")
    os.mkfifo(home / "fifo")
    world.begin()
    listing: Callable[..., object] = tools["list_archive"]
    unpack: Callable[..., object] = tools["unpack_archive"]
    for into in ("..", "../outside", str(world.outside), "way", "way/new", "full", "file", "file/new", "fifo", "", "."):
        said = _attempt(outcome, partial(unpack, "archive", into, IdempotencyKey("k")))
        if not isinstance(said, ToolError):
            outcome.wrong.append(f"into {into!r}: {said}")
    for path in ("link.zip", "hard.zip", "way/archive.zip", "../outside/archive.zip", "fifo", "full", "absent"):
        for call in (
            partial(listing, path),
            partial(unpack, path, "new", IdempotencyKey("k")),
        ):
            if not isinstance(said := _attempt(outcome, call), ToolError):
                outcome.wrong.append(f"{path!r}: {said}")
    if os.listdir(home / "full") != ["mine.txt"] or (home / "file").read_text("utf-8") != "mine":
        outcome.wrong.append("what was there was changed")
    outcome.wrong += world.touched()
    (world.outside / "archive.zip").unlink()
    return outcome


def _race(world: World, tools: dict[str, Any], tries: int) -> Outcome:
    """Unpacking below a folder that is a link to the outside every other moment."""
    (world.folder / "archive").write_bytes(zipped({f"{number}.txt": b"overwritten" for number in range(3)}))
    (world.folder / "here").mkdir()
    (world.folder / "there").symlink_to(world.outside)
    (world.folder / "here/secret.txt").write_text("honest", "utf-8")
    turns = iter(range(tries))

    def unpack() -> object:
        turn = next(turns)
        return tools["unpack_archive"]("archive", f"here/new-{turn}", IdempotencyKey(str(turn)))

    return raced(world, GROUP, "a folder swapped with a link", ("here", "there"), [unpack], tries)
