"""How much memory a model takes, whether a GPU holds it, and the line that starts it."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from shlex import quote
from typing import Final

from ..core.errors import InvalidInput, nearest

OVERHEAD: Final = 1.2
"""Weights with what a server needs around them."""
CACHE_BITS: Final = 16
QUANTISATIONS: Final[dict[int, str]] = {
    16: "F16",
    8: "Q8_0",
    6: "Q6_K",
    5: "Q5_K_M",
    4: "Q4_K_M",
    3: "Q3_K_M",
    2: "Q2_K",
}
"""Bits a weight and the name that llama.cpp and Ollama give them, the best first."""
GB: Final = 1e9
_PARAMETERS: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([mbt]?)\s*", re.IGNORECASE)
_FACTORS: Final = {"": 1.0, "m": 1e6, "b": 1e9, "t": 1e12}


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides how much memory it takes."""

    name: str
    parameters: int
    layers: int
    cache_width: int
    """Numbers that one token leaves in one layer's keys; as many in its values. Heads times their size."""
    context_tokens: int | None = None
    """The longest window that it was made for."""
    file_bytes: int | None = None
    """Of the weights as they are, where a file was read."""
    estimated: bool = False
    """Whether layers and width are those of a model of about this size."""

    @property
    def file_bits(self) -> float | None:
        """Bits a weight in the file."""
        return self.file_bytes * 8 / self.parameters if self.file_bytes and self.parameters else None


@dataclass(frozen=True, slots=True)
class Fit:
    """What a model takes at so many bits a weight."""

    bits: float
    weights_gb: float
    cache_gb: float
    gpu_gb: float | None = None

    @property
    def total_gb(self) -> float:
        """Weights and cache together."""
        return self.weights_gb + self.cache_gb

    @property
    def fits(self) -> bool | None:
        """Whether the GPU holds it; None where none is given."""
        return None if self.gpu_gb is None else self.total_gb <= self.gpu_gb


def weights_gb(parameters: float, bits: float) -> float:
    """Memory of the weights in GB (1e9 bytes): P x 4 bytes / (32 / bits) x 1.2."""
    return parameters * 4 / (32 / bits) * OVERHEAD / GB


def cache_gb(shape: Shape, context_tokens: int, slots: int) -> float:
    """Memory of the key-value cache in GB: keys and values, each layer, each token, each slot, 16 bits."""
    return 2 * shape.layers * shape.cache_width * context_tokens * slots * CACHE_BITS / 8 / GB


def fit(shape: Shape, *, bits: float | None, context_tokens: int, slots: int = 1, gpu_gb: float | None = None) -> Fit:
    """What a model takes.

    Args:
        shape: Of the model.
        bits: A weight; None: as in its file, else 16.
        context_tokens: Window of one request.
        slots: Requests at once, each with a window of its own.
        gpu_gb: Memory to be had, in units of 1e9 bytes.
    """
    chosen = bits or shape.file_bits or 16
    return Fit(chosen, weights_gb(shape.parameters, chosen), cache_gb(shape, context_tokens, slots), gpu_gb)


def best_fit(shape: Shape, *, context_tokens: int, slots: int, gpu_gb: float) -> Fit | None:
    """The most bits a weight with which the GPU holds the model; None where not even two do."""
    tries = (fit(shape, bits=b, context_tokens=context_tokens, slots=slots, gpu_gb=gpu_gb) for b in QUANTISATIONS)
    return next((one for one in tries if one.fits), None)


def longest_context(shape: Shape, one: Fit, slots: int) -> int | None:
    """Tokens of a window that the GPU has room for beside the weights; None where no GPU is given."""
    if one.gpu_gb is None:
        return None
    return max(0, math.floor((one.gpu_gb - one.weights_gb) / cache_gb(shape, 1, slots)))


def parse_parameters(text: str) -> int:
    """A number of parameters: `7b`, `135m`, `7000000000`.

    Raises:
        InvalidInput: It is none.
    """
    found = _PARAMETERS.fullmatch(text)
    count = float(found.group(1)) * _FACTORS[found.group(2).lower()] if found else 0.0
    if not 1 <= count <= 1e14:
        raise InvalidInput("params", f"{text!r} is no number of parameters; write 7b or 135m.")
    return round(count)


@cache
def known_shapes() -> dict[str, Shape]:
    """Models whose layers and heads are known without a file."""
    rows = json.loads(files("collegium.models").joinpath("shapes.json").read_text("utf-8"))
    return {
        name: Shape(name, round(billions * 1e9), layers, heads * size, context)
        for name, (billions, layers, heads, size, context) in rows.items()
    }


def shape_of(name: str) -> Shape:
    """The shape of a known model, or of a file or folder of weights.

    Raises:
        InvalidInput: There is none of this name.
    """
    path = Path(os.path.expanduser(name))
    if path.suffix in (".gguf", ".safetensors") or path.is_dir():
        from .headers import read_shape

        return read_shape(path)
    known = known_shapes()
    plain = name.lower().rsplit("/", 1)[-1].removesuffix("-instruct").replace(":", "-")
    if plain not in known:
        raise InvalidInput(
            "name", f"{name!r} is no file and no known model. {nearest(plain, list(known))} Or give --params 7b."
        )
    return replace(known[plain], name=name)


def shape_like(parameters: int) -> Shape:
    """A shape for a number of parameters alone: layers and heads of the known model nearest in size."""
    near = min(known_shapes().values(), key=lambda one: abs(math.log(one.parameters / parameters)))
    return replace(near, name=f"{parameters / 1e9:g}b", parameters=parameters, context_tokens=None, estimated=True)


def start_commands(shape: Shape, one: Fit, *, context_tokens: int, slots: int) -> dict[str, str]:
    """The line that starts the model in each server, by the server's name.

    `MODEL` stands where only a number of parameters is known. vLLM quantises while it loads; the others
    want weights that are quantised already.
    """
    name = "MODEL" if shape.estimated else shape.name
    word = QUANTISATIONS[min(QUANTISATIONS, key=lambda bits: abs(bits - one.bits))]
    is_gguf = name.endswith(".gguf")
    squeezed = "" if is_gguf or one.bits >= 16 else " --quantization " + ("fp8" if one.bits >= 8 else "bitsandbytes")
    weights = name if is_gguf else f"{name}.{word}.gguf"
    return {
        "vllm": f"vllm serve {quote(name)} --max-model-len {context_tokens} --max-num-seqs {slots}{squeezed}",
        "ollama": f"OLLAMA_CONTEXT_LENGTH={context_tokens} OLLAMA_NUM_PARALLEL={slots} ollama serve",
        "llamacpp": (
            f"llama-server --model {quote(weights)} --ctx-size {context_tokens * slots} "
            f"--parallel {slots} --n-gpu-layers 999"
        ),
    }
