"""Vectors for texts: the contract, MiniLM on the machine's own CPU, and a hashing embedder for tests."""

from __future__ import annotations

import math
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable

from ..core.errors import KnowledgeError
from ..core.tape import Codec, tape_in_use, through_now
from .words import terms

BATCH = 8
"""Texts a call. Texts of 20 to 180 words: 8 a call take 59 ms of CPU a text and 0.4 GB, 32 take 81 ms and 1 GB."""


def _packed(vectors: list[list[float]]) -> list[str]:
    return [b64encode(array("f", vector).tobytes()).decode() for vector in vectors]


def _unpacked(told: list[str]) -> list[list[float]]:
    return [array("f", b64decode(vector)).tolist() for vector in told]


_VECTORS: Codec[list[list[float]]] = Codec(_packed, _unpacked)
"""How a recording keeps vectors: base64 of 32-bit floats, which is what the model gives."""


class Embedder(Protocol):
    """Turns texts into vectors. Called in a thread, and from several at once."""

    @property
    def name(self) -> str:
        """What tells its vectors from those of another embedder; stored with an index."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order; of length 1, so that a dot product is the cosine."""
        ...


@runtime_checkable
class Windowed(Protocol):
    """An embedder that knows how much of a text it reads; passages are divided to fit."""

    @property
    def max_tokens(self) -> int:
        """Tokens that it reads, with the two that mark the ends."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without those that mark its ends."""
        ...


def window_of(embedder: Embedder | None) -> Callable[[str], bool]:
    """Whether an embedder reads a text to its end; of one that does not say how much it reads, always true."""
    if not isinstance(embedder, Windowed):
        return lambda text: True
    room = embedder.max_tokens - 2
    # no token is shorter than a character: short texts need not be counted
    return lambda text: len(text) <= room or embedder.count_tokens([text])[0] <= room


class HashEmbedder:
    """Vectors from the words alone: deterministic, without weights, good enough for tests.

    Each stem adds one of +1 and -1 at a place that its hash names; texts that share words are near.
    """

    def __init__(self, dimension: int = 256) -> None:
        self.dimension = dimension
        self.name = f"hash-{dimension}"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text; a text without words gets the zero vector."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for term in terms(text):
            number = int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest())
            vector[(number >> 1) % self.dimension] += 1.0 if number & 1 else -1.0
        length = math.hypot(*vector)
        return [value / length for value in vector] if length else vector


class MiniLM:
    """all-MiniLM-L6-v2 with int8 weights on onnxruntime, which comes with chromadb.

    The weights are loaded at the first call. A text is cut at 256 tokens. Mean pooling over the tokens.

    Args:
        folder: Where `model.onnx` and `tokenizer.json` lie; by default what `collegium models pull minilm`
            put into the cache.
        threads: CPU threads of one call.
    """

    name = "minilm-int8"
    dimension = 384
    max_tokens = 256

    def __init__(self, folder: Path | None = None, *, threads: int = 2) -> None:
        self._folder, self._threads = folder, threads
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text.

        Raises:
            KnowledgeError: The weights are not there, or cannot be loaded.
        """
        if tape := tape_in_use():
            asked = {"embedder": self.name, "texts": list(texts)}
            return through_now(tape, "embeddings", asked, lambda: self._embed(texts), _VECTORS)
        return self._embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, however long it is; without those that mark its ends.

        Raises:
            KnowledgeError: The weights are not there, or cannot be loaded.
        """
        _, tokenizer = self._load()
        encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [sum(sum(part.attention_mask) for part in (one, *one.overflowing)) for one in encoded]

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        session, tokenizer = self._load()
        # texts of similar length share a batch, as a batch is padded to its longest
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors: list[list[float]] = [[]] * len(texts)
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            for row, vector in zip(rows, _run(session, tokenizer, [texts[i] for i in rows]), strict=True):
                vectors[row] = vector
        return vectors

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _open(self._folder or weights_folder(), self._threads, self.max_tokens)
            return self._loaded


@cache
def minilm() -> MiniLM:
    """The MiniLM that the whole process shares."""
    return MiniLM()


def default_embedder() -> Embedder | None:
    """MiniLM if its weights are on this machine, else None."""
    return minilm() if has_weights() else None


def has_weights() -> bool:
    """Whether `collegium models pull minilm` was done."""
    return _weights() is not None


def weights_folder() -> Path:
    """Where MiniLM's files lie.

    Raises:
        KnowledgeError: They were not pulled yet.
    """
    folder = _weights()
    if folder is None:
        raise KnowledgeError("minilm", "its weights are not on this machine; get them: collegium models pull minilm")
    return folder


def _weights() -> Path | None:
    from ..models.catalogue import entry  # here, as only MiniLM needs the models' room

    weights = entry("minilm")
    return weights.folder if weights.installed else None


def _open(folder: Path, threads: int, max_tokens: int) -> tuple[Any, Any]:
    # onnxruntime has no types; tokenizers is loaded only with it
    runtime: Any = import_module("onnxruntime")
    tokenizers: Any = import_module("tokenizers")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # spinning threads starve the others where cores are shared
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the runtimes raise classes of their own, some straight from Exception
        raise KnowledgeError("minilm", f"its weights in {folder} cannot be loaded ({error}).") from error
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding()
    return session, tokenizer


def _run(session: Any, tokenizer: Any, texts: list[str]) -> list[list[float]]:
    numpy: Any = import_module("numpy")
    encoded = tokenizer.encode_batch(texts)
    ids = numpy.array([one.ids for one in encoded], dtype=numpy.int64)
    mask = numpy.array([one.attention_mask for one in encoded], dtype=numpy.int64)
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
    wanted = {put.name for put in session.get_inputs()}
    states = session.run(None, {name: value for name, value in given.items() if name in wanted})[0]
    if states.ndim == 3:
        states = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    found: list[list[float]] = (states / numpy.linalg.norm(states, axis=1, keepdims=True)).tolist()
    return found
