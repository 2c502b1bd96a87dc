"""Vectors from a server: `embedder("ollama:nomic-embed-text")` fits an index in place of MiniLM.

The openai SDK carries the requests: it is synchronous here, as an index wants it (it calls an embedder from
threads, several at once), shares connections between threads and tries again what may pass.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..core.errors import BackendError, BackendUnavailable, UnknownModel
from ._json import as_list, as_object
from .azure import resource_of
from .profiles import first_set
from .specs import Spec, address_of, parse_spec

if TYPE_CHECKING:
    import openai

BATCH: Final = 64
"""Texts a request."""
_MOST_BYTES: Final = 64_000_000
_TIMEOUT_S: Final = 120.0


def embedder(spec: str, *, batch: int = BATCH) -> ServerEmbedder:
    """Vectors from the model that a spec names; nothing is connected before the first text.

    Args:
        spec: `provider:model[@url]`, a model made for embeddings.
        batch: Texts a request.

    Raises:
        UnknownModel: The spec cannot be read, or its provider makes no vectors.
    """
    parsed = parse_spec(spec)
    if parsed.profile.embeddings is None or parsed.profile.transport in ("embedded", "scripted"):
        raise UnknownModel(spec, f"{parsed.provider!r} makes no vectors. Leave the embedder out to use MiniLM.")
    return ServerEmbedder(parsed, batch)


class ServerEmbedder:
    """An `Embedder` (see `collegium.knowledge`) whose vectors come from a server.

    Args:
        spec: What names the model.
        batch: Texts a request.
    """

    def __init__(self, spec: Spec, batch: int = BATCH) -> None:
        self._spec, self._batch = spec, batch
        self._dimension: int | None = None

    @property
    def name(self) -> str:
        """Provider and model, without the address: the same vectors come from any server of it."""
        return f"{self._spec.provider}:{self._spec.model}"

    @property
    def dimension(self) -> int:
        """Length of a vector, as the first one has it.

        Raises:
            BackendError: The server does not answer with vectors.
        """
        if self._dimension is None:
            self._dimension = len(self.embed(["dimension"])[0])
        return self._dimension

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order; of length 1. Blocks: call it from a thread.

        Raises:
            BackendError: The server does not answer with vectors, or not with one for each text.
        """
        found: list[list[float]] = []
        for start in range(0, len(texts), self._batch):
            found += self._request(texts[start : start + self._batch])
        if len({len(vector) for vector in found}) > 1:
            raise self._odd("has vectors of several lengths")
        return found

    def _request(self, texts: Sequence[str]) -> list[list[float]]:
        import openai

        given = [text or " " for text in texts]  # an empty text is refused by most servers
        try:
            with self._client.embeddings.with_streaming_response.create(
                model=self._spec.model, input=given, encoding_format="float"
            ) as response:
                return self._read(b"".join(self._bounded(response.iter_bytes())), len(texts))
        except openai.APIStatusError as error:
            raise self._failure(error) from error
        except openai.APIError as error:
            raise BackendUnavailable(str(self._spec), f"no vectors came ({type(error).__name__}).") from error

    def _failure(self, error: openai.APIStatusError) -> BackendError:
        from .compatible.failures import Rejection, Transient, failure_of

        failure = failure_of(str(self._spec), Rejection(error.status_code, error.response.content))
        return failure.error if isinstance(failure, Transient) else failure

    def _bounded(self, parts: Any) -> Any:
        size = 0
        for part in parts:
            size += len(part)
            if size > _MOST_BYTES:
                raise self._odd(f"is larger than {_MOST_BYTES} bytes")
            yield part

    def _read(self, body: bytes, count: int) -> list[list[float]]:
        try:
            rows = as_list(as_object(orjson.loads(body)).get("data"))
        except orjson.JSONDecodeError as error:
            raise self._odd("is not JSON") from error
        if len(rows) != count:
            raise self._odd(f"has {len(rows)} vectors for {count} texts")
        places = {as_object(row).get("index", n): as_object(row).get("embedding") for n, row in enumerate(rows)}
        if set(places) != set(range(count)):
            raise self._odd("does not say which vector belongs to which text")
        return [self._vector(places[n]) for n in range(count)]

    def _vector(self, numbers: Any) -> list[float]:
        values = as_list(numbers)
        if not values or not all(isinstance(n, (int, float)) and math.isfinite(n) for n in values):
            raise self._odd("has a vector that is none")
        length = math.hypot(*values)
        return [n / length for n in values] if length else [0.0 for _ in values]

    def _odd(self, what: str) -> BackendError:
        return BackendUnavailable(str(self._spec), f"the answer {what}. Is it a model for embeddings?")

    @cached_property
    def _client(self) -> openai.OpenAI:
        return client_of(self._spec, self)


def client_of(spec: Spec, owner: object) -> openai.OpenAI:
    """A client for the server of a spec, closed when its owner is gone.

    Raises:
        BackendUnavailable: Its key or its address is missing.
    """
    client = _made(spec)
    weakref.finalize(owner, client.close)
    return client


def _made(spec: Spec) -> openai.OpenAI:
    import openai

    http = openai.DefaultHttpxClient(follow_redirects=False)
    try:
        if spec.provider == "azure":
            return _azure(spec.url, http)
        if spec.provider == "openai":
            return openai.OpenAI(base_url=spec.url, timeout=_TIMEOUT_S, http_client=http)
    except (openai.OpenAIError, ValueError) as error:
        raise BackendUnavailable(str(spec), str(error).partition("\n")[0]) from error
    key = first_set(spec.profile.key_env) or spec.profile.placeholder_key or "none"
    return openai.OpenAI(base_url=address_of(spec), api_key=key, timeout=_TIMEOUT_S, http_client=http)


def _azure(url: str | None, http: openai.DefaultHttpxClient) -> openai.OpenAI:
    import openai

    found = resource_of(url)
    if found.version is None:
        return openai.OpenAI(base_url=found.endpoint, api_key=found.key, timeout=_TIMEOUT_S, http_client=http)
    return openai.AzureOpenAI(
        azure_endpoint=found.endpoint, api_version=found.version, timeout=_TIMEOUT_S, http_client=http
    )
