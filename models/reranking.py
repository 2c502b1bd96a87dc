"""Scores from a cross-encoder on a server: `reranker("vllm:BAAI/bge-reranker-v2-m3@http://gpu:8000")`.

The request is the one that Jina and Cohere made known, `POST /rerank`; vLLM, llama.cpp, LiteLLM, LocalAI, Infinity and
Text Embeddings Inference behind a proxy answer it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..core.errors import BackendError, BackendUnavailable, UnknownModel
from ._json import as_list, as_object
from .embeddings import client_of
from .specs import Spec, parse_spec

if TYPE_CHECKING:
    import openai

_MOST_BYTES: Final = 4_000_000


def reranker(spec: str) -> ServerReranker:
    """A reranker from the model that a spec names; nothing is connected before the first question.

    Args:
        spec: `provider:model[@url]`, a model made for re-ranking.

    Raises:
        UnknownModel: The spec cannot be read, or its provider is no server of that kind.
    """
    parsed = parse_spec(spec)
    if parsed.profile.embeddings is None or parsed.profile.transport in ("embedded", "scripted"):
        raise UnknownModel(spec, f"{parsed.provider!r} does not re-rank. Name a server, as vllm:NAME@URL.")
    return ServerReranker(parsed)


class ServerReranker:
    """A `Reranker` (see `collegium.knowledge`) on a server.

    Args:
        spec: What names the model.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    @property
    def name(self) -> str:
        """Provider and model."""
        return f"{self._spec.provider}:{self._spec.model}"

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers, from 0 to 1, in order.

        Raises:
            BackendError: The server does not answer with one score for each text.
        """
        return await asyncio.to_thread(self._request, query, list(texts)) if texts else []

    def _request(self, query: str, texts: list[str]) -> list[float]:
        import httpx
        import openai

        asked = {"model": self._spec.model, "query": query, "documents": texts, "top_n": len(texts)}
        try:
            response = self._client.post("/rerank", cast_to=httpx.Response, body=asked)
        except openai.APIStatusError as error:
            raise self._failure(error) from error
        except openai.APIError as error:
            raise BackendUnavailable(str(self._spec), f"no scores came ({type(error).__name__}).") from error
        return self._read(response.content, len(texts))

    def _failure(self, error: openai.APIStatusError) -> BackendError:
        from .compatible.failures import Rejection, Transient, failure_of

        failure = failure_of(str(self._spec), Rejection(error.status_code, error.response.content))
        return failure.error if isinstance(failure, Transient) else failure

    def _read(self, body: bytes, count: int) -> list[float]:
        if len(body) > _MOST_BYTES:
            raise self._odd(f"is larger than {_MOST_BYTES} bytes")
        try:
            rows = [as_object(row) for row in as_list(as_object(orjson.loads(body)).get("results"))]
        except orjson.JSONDecodeError as error:
            raise self._odd("is not JSON") from error
        scores = {row.get("index"): row.get("relevance_score", row.get("score")) for row in rows}
        if len(rows) != count or set(scores) != set(range(count)):
            raise self._odd(f"does not have one score for each of {count} texts")
        return self._between([scores[n] for n in range(count)])

    def _between(self, scores: list[Any]) -> list[float]:
        """The scores from 0 to 1; llama.cpp and some others give the model's logits."""
        if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in scores):
            raise self._odd("has a score that is none")
        if all(0 <= n <= 1 for n in scores):
            return [float(n) for n in scores]
        return [1 / (1 + math.exp(-max(-60.0, min(60.0, n)))) for n in scores]

    def _odd(self, what: str) -> BackendError:
        return BackendUnavailable(str(self._spec), f"the answer {what}. Is it a model for re-ranking?")

    @cached_property
    def _client(self) -> openai.OpenAI:
        return client_of(self._spec, self)
