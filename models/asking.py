"""What a server says of itself: its version, the window it really has, the tokens of a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..core.errors import BackendError
from ._json import as_list, as_object

if TYPE_CHECKING:
    from .compatible.transport import Transport
    from .profiles import Profile

_VERSIONS: Final = ("version", "build_info")
_WINDOWS: Final = ("max_total_tokens", "loaded_context_length", "n_ctx")


@dataclass(frozen=True, slots=True)
class Said:
    """What a server tells beside its listing."""

    version: str = ""
    context_tokens: int | None = None
    """The window of one request, where the server tells the one in use."""


async def ask_server(transport: Transport, profile: Profile, name: str) -> Said:
    """The version and the window of a model; empty where the server does not tell."""
    if profile.version is None:
        return Said()
    fields = await _asked(transport, profile.version)
    version = next((str(fields[name]) for name in _VERSIONS if fields.get(name)), "")
    used = {**fields, **as_object(fields.get("default_generation_settings"))}
    window = next((used[name] for name in _WINDOWS if isinstance(used.get(name), int) and used[name] > 0), None)
    if profile.transport == "ollama":
        window = await trained_window(transport, name)  # as much of it is asked for as a prompt needs
    return Said(version[:100], window)


async def trained_window(transport: Transport, name: str) -> int | None:
    """The longest window that a model of Ollama was made for, in tokens."""
    info = as_object((await _asked(transport, "/api/show", {"model": name})).get("model_info"))
    found = [value for key, value in info.items() if key.endswith(".context_length") and isinstance(value, int)]
    return found[0] if found and found[0] > 0 else None


async def count_tokens(transport: Transport, profile: Profile, name: str, text: str) -> int | None:
    """Tokens of a text by the server's own tokenizer; None where it has none, or does not say.

    llama.cpp, vLLM and TGI each read another field of the request and leave the others alone.
    """
    if profile.tokenizer is None:
        return None
    body: dict[str, Any] = {"model": name, "content": text, "prompt": text, "inputs": text}
    if profile.provider == "anthropic":
        body = {"model": name, "messages": [{"role": "user", "content": text}]}
    answer = await _loaded(transport, profile.tokenizer, body)
    if tokens := as_list(answer) or as_list(as_object(answer).get("tokens")):
        return len(tokens)
    counts = (as_object(answer).get(field) for field in ("count", "input_tokens"))
    return next((count for count in counts if isinstance(count, int)), None)


async def _asked(transport: Transport, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return as_object(await _loaded(transport, path, body))


async def _loaded(transport: Transport, path: str, body: Mapping[str, Any] | None = None) -> Any:
    from .compatible.failures import Transient

    try:
        return orjson.loads(await transport.ask(path, body))
    except (BackendError, Transient, ValueError):
        return None
