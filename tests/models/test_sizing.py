"""How much memory a model takes, and reading its shape from small files made here."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.core.errors import InvalidInput
from collegium.models.headers import read_shape
from collegium.models.sizing import (
    QUANTISATIONS,
    Shape,
    best_fit,
    cache_gb,
    fit,
    known_shapes,
    longest_context,
    parse_parameters,
    shape_like,
    shape_of,
    start_commands,
    weights_gb,
)

LLAMA = known_shapes()["llama-3.1-8b"]
FIELDS: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.embedding_length": 64,
    "llama.context_length": 512,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def field(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(one) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return struct.pack("<II", 4, value)


def gguf(fields: dict[str, Any], tensors: dict[str, tuple[int, ...]], data: bytes = b"") -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    head += b"".join(text(name) + field(value) for name, value in fields.items())
    for name, dims in tensors.items():
        head += text(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims) + struct.pack("<IQ", 0, 0)
    return head + data


def safetensors(path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    at, head = 0, dict[str, Any]()
    for name, shape in tensors.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    data = json.dumps({**head, "__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data)


@pytest.mark.parametrize(("bits", "gb"), [(16, 16.8), (8, 8.4), (4, 4.2)])
def test_the_weights_of_seven_billion_parameters(bits: int, gb: float) -> None:
    assert weights_gb(7e9, bits) == pytest.approx(gb)


def test_the_cache_counts_keys_and_values_of_each_layer_token_and_slot() -> None:
    assert cache_gb(LLAMA, 8192, 1) == pytest.approx(2 * 32 * 8 * 128 * 8192 * 2 / 1e9)
    assert cache_gb(LLAMA, 8192, 4) == pytest.approx(4 * cache_gb(LLAMA, 8192, 1))


def test_the_most_bits_that_fit_are_found() -> None:
    best = best_fit(LLAMA, context_tokens=8192, slots=1, gpu_gb=12)
    assert best is not None and best.bits == 8
    assert best_fit(LLAMA, context_tokens=8192, slots=1, gpu_gb=1) is None


@given(st.floats(1, 400), st.integers(1, 200_000), st.integers(1, 64))
@settings(max_examples=60)
def test_more_memory_never_allows_fewer_bits_or_a_shorter_window(gpu: float, context: int, slots: int) -> None:
    less = best_fit(LLAMA, context_tokens=context, slots=slots, gpu_gb=gpu)
    more = best_fit(LLAMA, context_tokens=context, slots=slots, gpu_gb=gpu * 1.5)
    assert less is None or (more is not None and more.bits >= less.bits)
    if less is not None:
        assert (longest_context(LLAMA, less, slots) or 0) >= context - 1


def test_a_size_alone_takes_the_layers_of_the_nearest_model() -> None:
    shape = shape_like(parse_parameters("8B"))
    assert shape.estimated and shape.parameters == 8_000_000_000
    assert (shape.layers, shape.cache_width) == (LLAMA.layers, LLAMA.cache_width)


@pytest.mark.parametrize(("given", "count"), [("7b", 7_000_000_000), ("135M", 135_000_000), ("1.5 b", 1_500_000_000)])
def test_parameters_are_read_as_people_write_them(given: str, count: int) -> None:
    assert parse_parameters(given) == count


@pytest.mark.parametrize("given", ["", "b", "0b", "-7b", "7q", "9" * 40])
def test_what_is_no_number_of_parameters_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="write 7b or 135m"):
        parse_parameters(given)


@pytest.mark.parametrize("name", ["qwen3:8b", "Qwen/Qwen3-8B", "qwen3-8b"])
def test_a_model_is_known_by_the_names_of_its_servers(name: str) -> None:
    assert shape_of(name).layers == 36


def test_the_lines_that_start_it_carry_window_slots_and_bits() -> None:
    lines = start_commands(LLAMA, fit(LLAMA, bits=4, context_tokens=4096), context_tokens=4096, slots=2)
    assert lines == {
        "vllm": "vllm serve llama-3.1-8b --max-model-len 4096 --max-num-seqs 2 --quantization bitsandbytes",
        "ollama": "OLLAMA_CONTEXT_LENGTH=4096 OLLAMA_NUM_PARALLEL=2 ollama serve",
        "llamacpp": "llama-server --model llama-3.1-8b.Q4_K_M.gguf --ctx-size 8192 --parallel 2 --n-gpu-layers 999",
    }
    odd = Shape("/weights/my model.gguf", 10, 1, 1)
    assert (
        "'/weights/my model.gguf'"
        in start_commands(odd, fit(odd, bits=8, context_tokens=8), context_tokens=8, slots=1)["vllm"]
    )


def test_the_head_of_a_gguf_file_gives_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(FIELDS, {"a": (64, 100), "b": (64,)}, bytes(3232)))
    shape = read_shape(path)
    assert shape == Shape(str(path), 6464, 2, 32, 512, 3232)
    assert fit(shape, bits=None, context_tokens=8).bits == 4


def test_heads_that_differ_by_layer_count_as_the_most(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf({**FIELDS, "llama.attention.key_length": 24}, {"a": (8,)}))
    assert read_shape(path).cache_width == 48


def test_safetensors_give_their_shape_with_and_without_a_config(tmp_path: Path) -> None:
    for part in (1, 2):
        names = {f"model.layers.{part - 1}.self_attn.k_proj.weight": (32, 64), f"x{part}": (10,)}
        safetensors(tmp_path / f"model-0000{part}-of-00002.safetensors", names)
    one = read_shape(tmp_path / "model-00001-of-00002.safetensors")
    assert (one.parameters, one.layers, one.cache_width, one.file_bits) == (2 * (32 * 64 + 10), 2, 32, 16)
    config = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64}
    (tmp_path / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 99}))
    two = shape_of(str(tmp_path))
    assert (two.layers, two.cache_width, two.context_tokens) == (3, 32, 99)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"GGML" + bytes(40),
        b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 50),
        gguf({"general.architecture": "llama"}, {}),
        gguf({**FIELDS, "llama.attention.head_count": 0}, {}),
        gguf(FIELDS, {"a": (1,) * 9}),
        gguf(FIELDS, {"a": (4, 4)})[:-30],
    ],
)
def test_a_damaged_file_is_one_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="damaged, or not what its name says"):
        read_shape(path)
    tensors = tmp_path / "m.safetensors"
    tensors.write_bytes(data)
    with pytest.raises(InvalidInput):
        read_shape(tensors)


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_give_a_shape_or_the_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "m.gguf"
    whole = gguf(FIELDS, {"a": (64, 100)})
    path.write_bytes(whole[: len(whole) - len(data)] + data)
    try:
        assert read_shape(path).layers >= 0
    except InvalidInput as error:
        assert "\n" not in str(error)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InvalidInput, match="nowhere.gguf cannot be read"):
        shape_of("nowhere.gguf")


def test_every_known_model_is_about_as_large_as_its_name_says() -> None:
    for name, shape in known_shapes().items():
        said = parse_parameters(name.rsplit("-", 1)[-1])
        assert 0.85 <= shape.parameters / said <= 1.25, name
    assert list(QUANTISATIONS) == sorted(QUANTISATIONS, reverse=True)
