"""The one table of providers: address, environment, what the server can do by its documentation.

A row is all that a server of the usual wire needs. Environment variables are named here and read at
use, never at import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .base import Rung
from .decoding import BASIC, CLASSIC, COMPATIBLE, HOSTED, LLAMA, MESSAGES, NOT_WHILE_REASONING, OPEN, Names

Transport = Literal["aiohttp", "sdk", "anthropic", "ollama", "embedded", "scripted"]
"""aiohttp: our own client. sdk: the openai SDK. anthropic: its SDK. ollama: its own API through our client."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a provider before it is asked."""

    provider: str
    transport: Transport = "aiohttp"
    address: str | None = None
    """Default base address, with the path under which `/chat/completions` lies."""
    address_env: tuple[str, ...] = ()
    key_env: tuple[str, ...] = ()
    key_header: str = "Authorization"
    """`Authorization` carries `Bearer KEY`; any other header the bare key."""
    placeholder_key: str | None = None
    """Sent when the server wants some key and none is set."""
    more_ports: tuple[int, ...] = ()
    """Other ports at which this server is found by default."""
    owned_by: tuple[str, ...] = ()
    """How the entries of its model listing name their owner; tells servers on one port apart."""
    listing: str | None = "/models"
    health: str | None = None
    """Path from the root of the server that answers 200 when it is ready."""
    version: str | None = None
    """Path from the root that tells the server's version."""
    tokenizer: str | None = None
    """Path from the root that turns a text into tokens."""
    embeddings: str | None = "/embeddings"
    """Path that makes vectors, where the server is started (or billed) for that."""
    structured: Rung = "json_schema"
    tools: bool = True
    tool_choice: bool = True
    """Whether `tool_choice` is read; else the offered tools are narrowed instead."""
    schema_with_tools: bool = True
    """Whether tools stay callable beside a schema in one request."""
    reasoning: tuple[str, ...] = ("reasoning", "reasoning_content")
    """Fields of a message that carry reasoning, in the order they are tried."""
    decoding: Names = field(default_factory=lambda: OPEN)
    """Which decoding settings it takes, and what it calls them."""
    reasoning_models: str | None = None
    """Names (a regular expression) of models that take no sampling settings while they reason."""
    max_tokens: int | None = None
    """Limit of an answer when the caller sets none."""
    hosted: bool = False
    """A paid service: capable, no limits on strings, no probing."""
    probed: bool = False
    """Whether `capabilities()` measures the model behind it on first use."""

    def settings(self, model: str) -> Names:
        """The decoding settings that a model of this provider takes."""
        if self.reasoning_models and re.match(self.reasoning_models, model):
            return {name: wire for name, wire in self.decoding.items() if name not in NOT_WHILE_REASONING}
        return self.decoding


_REASONING = r"(.*/)?(o\d|gpt-5)(?!.*chat)"
_LMSTUDIO = {**CLASSIC, "top_k": "top_k", "repetition_penalty": "repeat_penalty"}
_OLLAMA = {**{name: LLAMA[name] for name in LLAMA if name != "logprobs"}, "max_tokens": "num_predict"}
_TGI = {name: COMPATIBLE[name] for name in COMPATIBLE if name != "reasoning_effort"}

_ROWS = (
    Profile(
        "openai",
        "sdk",
        address_env=("OPENAI_BASE_URL",),
        key_env=("OPENAI_API_KEY",),
        decoding=HOSTED,
        reasoning_models=_REASONING,
        hosted=True,
    ),
    Profile(
        "azure",
        "sdk",
        address_env=("AZURE_OPENAI_ENDPOINT",),
        key_env=("AZURE_OPENAI_API_KEY",),
        listing=None,
        decoding=HOSTED,
        reasoning_models=_REASONING,
        hosted=True,
    ),
    Profile(
        "anthropic",
        "anthropic",
        address_env=("ANTHROPIC_BASE_URL",),
        key_env=("ANTHROPIC_API_KEY",),
        tokenizer="/v1/messages/count_tokens",
        embeddings=None,
        decoding=MESSAGES,
        max_tokens=8192,
        hosted=True,
    ),
    Profile(
        "vllm",
        address="http://127.0.0.1:8000/v1",
        address_env=("VLLM_BASE_URL",),
        key_env=("VLLM_API_KEY",),
        owned_by=("vllm",),
        health="/health",
        probed=True,
        version="/version",
        tokenizer="/tokenize",
    ),
    Profile(
        "ollama",
        "ollama",
        address="http://127.0.0.1:11434/v1",
        address_env=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
        key_env=("OLLAMA_API_KEY",),
        owned_by=("library",),
        health="/api/version",
        probed=True,
        version="/api/version",
        tool_choice=False,
        schema_with_tools=False,
        decoding=_OLLAMA,
    ),
    Profile(
        "llamacpp",
        address="http://127.0.0.1:8080/v1",
        address_env=("LLAMACPP_BASE_URL",),
        key_env=("LLAMACPP_API_KEY", "LLAMA_API_KEY"),
        more_ports=(9931,),
        owned_by=("llamacpp",),
        health="/health",
        reasoning=("reasoning_content", "reasoning"),
        probed=True,
        version="/props",
        tokenizer="/tokenize",
        decoding=LLAMA,
    ),
    Profile(
        "lmstudio",
        address="http://127.0.0.1:1234/v1",
        address_env=("LMSTUDIO_BASE_URL",),
        key_env=("LMSTUDIO_API_KEY", "LM_API_TOKEN"),
        reasoning=("reasoning_content", "reasoning"),
        probed=True,
        decoding=_LMSTUDIO,
    ),
    Profile(
        "tgi",
        address="http://127.0.0.1:3000/v1",
        address_env=("TGI_BASE_URL",),
        key_env=("HF_TOKEN",),
        health="/health",
        structured="tool",
        probed=True,
        version="/info",
        tokenizer="/tokenize",
        embeddings=None,
        decoding=_TGI,
    ),
    Profile(
        "llamafile",
        address="http://127.0.0.1:8080/v1",
        address_env=("LLAMAFILE_BASE_URL",),
        owned_by=("llamafile",),
        health="/health",
        reasoning=("reasoning_content", "reasoning"),
        probed=True,
        tokenizer="/tokenize",
        decoding=LLAMA,
    ),
    Profile(
        "jan",
        address="http://127.0.0.1:1337/v1",
        address_env=("JAN_BASE_URL",),
        key_env=("JAN_API_KEY",),
        placeholder_key="jan",
        probed=True,
        decoding=LLAMA,
    ),
    Profile(
        "gpt4all",
        address="http://127.0.0.1:4891/v1",
        address_env=("GPT4ALL_BASE_URL",),
        structured="prompt",
        tools=False,
        probed=True,
        embeddings=None,
        decoding=BASIC,
    ),
    Profile(
        "litgpt",
        address="http://127.0.0.1:8000/v1",
        address_env=("LITGPT_BASE_URL",),
        key_env=("LIT_SERVER_API_KEY",),
        key_header="X-API-Key",
        listing=None,
        health="/health",
        structured="prompt",
        tools=False,
        probed=True,
        embeddings=None,
        decoding=BASIC,
    ),
    Profile(
        "openai-compatible",
        address_env=("OPENAI_COMPATIBLE_BASE_URL", "OPENAI_BASE_URL"),
        key_env=("OPENAI_COMPATIBLE_API_KEY", "OPENAI_API_KEY"),
    ),
    Profile(
        "embedded",
        "embedded",
        health="/health",
        version="/props",
        tokenizer="/tokenize",
        tools=False,
        decoding=LLAMA,
        max_tokens=1024,
        probed=True,
    ),
    Profile("scripted", "scripted"),
)

PROFILES: Mapping[str, Profile] = {row.provider: row for row in _ROWS}


def first_set(names: tuple[str, ...]) -> str | None:
    """The value of the first of these environment variables that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
