"""What a model call costs, in US dollars.

Prices of hosted models come from genai-prices, a package that is kept up to date by others; it is loaded at the first
call of a hosted model, and fetches nothing. A model of one's own costs nothing unless a file says otherwise.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from ..core.errors import InvalidInput, UnknownModel
from ..core.messages import Usage
from .specs import Spec, parse_spec

PRICES_FILE = "COLLEGIUM_PRICES"
"""Environment variable that names a JSON file of prices: spec to `{"input_usd", "output_usd"}`, each for a million
tokens. `openai:gpt-x` is a spec, and so is `vllm` for all models of a provider. It wins over the package."""

_MILLION = 1_000_000
_NAMES = {"input_usd", "output_usd", "cached_usd"}


def cost_usd(spec: str, usage: Usage) -> float | None:
    """What the tokens of one call cost, in US dollars; None where no price is known.

    Args:
        spec: The model, `provider:model[@url]`.
        usage: What was used.

    Raises:
        InvalidInput: The file that COLLEGIUM_PRICES names cannot be read, or does not hold prices.
    """
    own = _own_price(spec)
    if own is not None:
        cached = min(usage.cached_tokens, usage.input_tokens)
        paid = (usage.input_tokens - cached) * own["input_usd"] + cached * own.get("cached_usd", own["input_usd"])
        return (paid + usage.output_tokens * own["output_usd"]) / _MILLION
    kind = _billing(spec)
    return _listed(parse_spec(spec), usage) if kind == "listed" else 0.0 if kind == "own" else None


@lru_cache(maxsize=1024)
def _billing(spec: str) -> Literal["listed", "own", "unknown"]:
    """Who says what the model costs; found once for each spec, since it is asked after every call."""
    try:
        parts = parse_spec(spec)
    except UnknownModel:  # a Model of the user's own goes by any name
        return "unknown"
    if parts.profile.hosted:
        return "unknown" if parts.url else "listed"
    own = parts.profile.transport in ("embedded", "scripted", "ollama") or parts.provider != "openai-compatible"
    return "own" if own else "unknown"


def _listed(parts: Spec, usage: Usage) -> float | None:
    import genai_prices

    used = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
        output_tokens=usage.output_tokens,
    )
    try:
        return float(genai_prices.calc_price(used, parts.model, provider_id=parts.provider).total_price)
    except (LookupError, ValueError):
        return None


def _own_price(spec: str) -> dict[str, float] | None:
    name = os.environ.get(PRICES_FILE)
    if not name:
        return None
    prices = _read(name, _changed_at(name))
    return prices.get(spec) or prices.get(spec.partition("@")[0]) or prices.get(spec.partition(":")[0])


def _changed_at(name: str) -> float:
    try:
        return Path(name).stat().st_mtime
    except OSError as error:
        raise InvalidInput(PRICES_FILE, f"{name}: {error.strerror}.") from error


@lru_cache(maxsize=4)
def _read(name: str, changed_at: float) -> dict[str, dict[str, float]]:
    try:
        found: Any = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(PRICES_FILE, f"{name} is not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise InvalidInput(PRICES_FILE, f"{name} must hold an object: spec to prices.")
    return {str(spec): _price(name, str(spec), given) for spec, given in cast("dict[Any, Any]", found).items()}


def _price(name: str, spec: str, given: Any) -> dict[str, float]:
    price = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    wrong = not {"input_usd", "output_usd"} <= price.keys() <= _NAMES
    if wrong or not all(isinstance(value, int | float) and value >= 0 for value in price.values()):
        raise InvalidInput(
            PRICES_FILE, f"{name}: {spec!r} needs input_usd and output_usd (and may have cached_usd), numbers >= 0."
        )
    return {key: float(value) for key, value in price.items()}
