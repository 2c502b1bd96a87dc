"""How the servers of each provider behave by their documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Dialect = Literal["completions", "ollama", "messages"]


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one provider's servers behave."""

    dialect: Dialect = "completions"
    schema: Literal["enforced", "ignored", "refused"] = "enforced"
    tools: bool = True
    schema_beats_tools: bool = False
    """Whether nothing is called in a request that has a schema."""
    tool_choice: bool = True
    parallel: bool = True
    streams_tools: bool = True
    """False: the arguments of a streamed call get lost."""
    reasoning: str | None = None
    """Field of a message that carries it; `tags` puts it into the text."""
    window: int = 32_768
    overlong: Literal["refused", "cut"] = "refused"
    logprobs: bool = False
    seed: bool = True
    refused: frozenset[str] = frozenset()
    """Fields of a request that are answered with status 400."""
    listed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """More fields of the model's entry in the listing."""
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Paths from the root and the JSON that they answer with."""
    paths: tuple[str, ...] = ("/v1",)
    """Where chat completions and embeddings lie."""
    wants_key: bool = False


_LLAMA = Quirks(
    reasoning="reasoning_content",
    parallel=False,
    logprobs=True,
    listed={"owned_by": "llamacpp", "meta": {"n_ctx_train": 32_768}},
    answers={
        "/props": {"build_info": "b7000", "default_generation_settings": {"n_ctx": 8192}, "total_slots": 4},
        "/tokenize": {"tokens": [1, 2, 3]},
    },
    window=8192,
)
_SAMPLING = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs"})

QUIRKS: Mapping[str, Quirks] = {
    "openai": Quirks(refused=frozenset({"top_k", "min_p", "repetition_penalty", "max_tokens"}), wants_key=True),
    "azure": Quirks(
        refused=frozenset({"top_k", "min_p", "repetition_penalty", "max_tokens"}),
        paths=("/openai/deployments/m", "/openai/v1"),
        wants_key=True,
    ),
    "anthropic": Quirks(
        "messages",
        refused=_SAMPLING | {"response_format"},
        listed={"max_input_tokens": 200_000},
        answers={"/v1/messages/count_tokens": {"input_tokens": 7}},
        window=200_000,
        seed=False,
        wants_key=True,
    ),
    "vllm": Quirks(
        reasoning="reasoning",
        streams_tools=False,
        logprobs=True,
        listed={"owned_by": "vllm", "max_model_len": 32_768},
        answers={"/version": {"version": "0.33.0"}, "/tokenize": {"count": 6, "tokens": [1, 2, 3, 4, 5, 6]}},
    ),
    "ollama": Quirks(
        "ollama",
        tool_choice=False,
        schema_beats_tools=True,
        reasoning="thinking",
        overlong="cut",
        window=16_384,
        listed={"owned_by": "library"},
        answers={"/api/version": {"version": "0.30.1"}, "/api/show": {"model_info": {"qwen3.context_length": 16_384}}},
    ),
    "llamacpp": _LLAMA,
    "lmstudio": Quirks(reasoning="reasoning_content", tool_choice=False, parallel=False),
    "tgi": Quirks(
        schema="refused",
        parallel=False,
        logprobs=True,
        answers={"/info": {"version": "3.3.4", "max_total_tokens": 4096}, "/tokenize": [{"id": 1}, {"id": 2}]},
        window=4096,
    ),
    "llamafile": replace(_LLAMA, listed={"owned_by": "llamafile"}, answers={}),
    "jan": replace(_LLAMA, listed={}, answers={}, wants_key=True),
    "gpt4all": Quirks(schema="ignored", tools=False, seed=False, overlong="cut", window=2048),
    "litgpt": Quirks(schema="ignored", tools=False, seed=False, window=2048),
    "openai-compatible": Quirks(schema="ignored", reasoning="tags", overlong="cut", window=4096),
}
