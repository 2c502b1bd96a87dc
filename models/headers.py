"""The shape of a model from the head of its files: GGUF, or safetensors with or without a `config.json`.

Only heads are read, with bounds on every count and length, since such files come from anywhere.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..core.errors import InvalidInput
from ._json import as_list, as_object
from .sizing import Shape

_MOST_ENTRIES: Final = 1_000_000
_MOST_TEXT: Final = 8_000_000
_MOST_HEAD: Final = 100_000_000
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Formats of GGUF's value types; 8 is a text, 9 a list."""
_TEXT: Final = 8
_LIST: Final = 9
_LAYER: Final = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


def read_shape(path: Path) -> Shape:
    """The shape of the model in a file, or in a folder of safetensors files.

    Raises:
        InvalidInput: It is not there, damaged, or of another kind.
    """
    try:
        shape = _read_gguf(path) if path.suffix == ".gguf" else _read_safetensors(path)
        if min(shape.parameters, shape.layers, shape.cache_width) < 1:
            raise ValueError("it holds no weights")
        return shape
    except OSError as error:
        raise InvalidInput("name", f"{path} cannot be read ({error.strerror}).") from error
    except (struct.error, ValueError, KeyError, TypeError, RecursionError, ArithmeticError) as error:
        raise InvalidInput("name", f"{path} is damaged, or not what its name says ({_short(error)}).") from error


def _read_gguf(path: Path) -> Shape:
    with path.open("rb") as file:
        head = _Gguf(file)
        fields = head.fields()
        parameters = sum(math.prod(dims) for dims in head.tensors())
        start = file.tell()
    arch = str(fields["general.architecture"])
    layers, heads = (_whole(fields[f"{arch}.{name}"]) for name in ("block_count", "attention.head_count"))
    kv_heads = _whole(fields.get(f"{arch}.attention.head_count_kv", heads))
    size = _whole(fields.get(f"{arch}.attention.key_length", _whole(fields[f"{arch}.embedding_length"]) // heads))
    context = fields.get(f"{arch}.context_length")
    held = path.stat().st_size - start
    return Shape(str(path), parameters, layers, kv_heads * size, _whole(context) if context else None, held)


class _Gguf:
    """The head of one file, read from the front."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if file.read(4) != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        if (version := self._number("I")) not in (2, 3):
            raise ValueError(f"GGUF version {version} is not read")
        self._tensors, self._fields = self._count(), self._count()

    def fields(self) -> dict[str, Any]:
        """The fields by name; the content of long lists is left out."""
        return {self._text(): self._value(self._number("I")) for _ in range(self._fields)}

    def tensors(self) -> Iterator[list[int]]:
        """The dimensions of each tensor; call `fields` first."""
        for _ in range(self._tensors):
            self._text()
            ranks = self._number("I")
            if ranks > 8:
                raise ValueError(f"a tensor of {ranks} dimensions")
            yield [self._number("Q") for _ in range(ranks)]
            self._file.read(12)  # type and offset

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind == _LIST:
            inner, count = self._number("I"), self._count()
            return [self._value(inner) for _ in range(count)] if inner != _LIST else self._refuse()
        return self._number(_SCALARS[kind])

    def _refuse(self) -> Any:
        raise ValueError("a list of lists")

    def _number(self, kind: str) -> Any:
        size = struct.calcsize("<" + kind)
        return struct.unpack("<" + kind, self._file.read(size))[0]

    def _count(self) -> int:
        count = int(self._number("Q"))
        if count > _MOST_ENTRIES:
            raise ValueError(f"{count} entries")
        return count

    def _text(self) -> str:
        length = int(self._number("Q"))
        if length > _MOST_TEXT:
            raise ValueError(f"a text of {length} bytes")
        data = self._file.read(length)
        if len(data) < length:
            raise ValueError("it ends too early")
        return data.decode("utf-8", "replace")


def _read_safetensors(path: Path) -> Shape:
    folder = path if path.is_dir() else path.parent
    parts = sorted(path.glob("*.safetensors")) if path.is_dir() else _shards(path)
    if not parts:
        raise ValueError("no .safetensors file is in it")
    tensors = {name: fields for part in parts for name, fields in _tensors(part)}
    parameters = sum(math.prod(as_list(fields["shape"])) for fields in tensors.values())
    held = sum(_span(fields) for fields in tensors.values())
    config = folder / "config.json"
    layers, width, context = _configured(json.loads(config.read_text("utf-8"))) if config.is_file() else _seen(tensors)
    return Shape(str(path), parameters, layers, width, context, held)


def _shards(path: Path) -> list[Path]:
    """All files of a model that is cut into `…-00001-of-00004.safetensors`."""
    found = re.fullmatch(r"(.*)-\d{5}(-of-\d{5}\.safetensors)", path.name)
    return sorted(path.parent.glob(f"{found.group(1)}-?????{found.group(2)}")) if found else [path]


def _tensors(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _MOST_HEAD:
            raise ValueError(f"a head of {length} bytes")
        head: Any = json.loads(file.read(length))
    return ((name, as_object(fields)) for name, fields in as_object(head).items() if name != "__metadata__")


def _span(fields: Mapping[str, Any]) -> int:
    begin, end = as_list(fields["data_offsets"])
    return int(end) - int(begin)


def _configured(config: Any) -> tuple[int, int, int | None]:
    fields = as_object(config)
    fields = {**fields, **as_object(fields.get("text_config"))}
    heads = int(fields["num_attention_heads"])
    size = int(fields.get("head_dim") or int(fields["hidden_size"]) // heads)
    context = fields.get("max_position_embeddings")
    kv_heads = int(fields.get("num_key_value_heads") or heads)
    return int(fields["num_hidden_layers"]), kv_heads * size, int(context) if context else None


def _seen(tensors: Mapping[str, Mapping[str, Any]]) -> tuple[int, int, int | None]:
    """Layers and cache width from the names and shapes of the tensors alone."""
    numbers = {int(found.group(1)) for name in tensors if (found := _LAYER.search(name))}
    keys = [as_list(fields["shape"])[0] for name, fields in tensors.items() if name.endswith("k_proj.weight")]
    if not numbers or not keys:
        raise ValueError("layers and heads cannot be told without its config.json")
    return max(numbers) + 1, int(keys[0]), None


def _whole(value: Any) -> int:
    """A count; where layers differ, their largest."""
    return max(int(one) for one in as_list(value)) if isinstance(value, list) else int(value)


def _short(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)[:120]
