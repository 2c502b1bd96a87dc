"""How to decode: one typed object, and which of its settings a provider takes under which name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

from ..core.errors import InvalidInput, UnsupportedParameter

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high"]
_EFFORTS: Final = get_args(ReasoningEffort)
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "top_k": (0, math.inf),
    "min_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "repetition_penalty": (0.0, math.inf),
    "logprobs": (0, 20),
    "max_tokens": (1, math.inf),
}
"""What any provider could mean by a setting; its own limits may be narrower."""


@dataclass(frozen=True, slots=True)
class Params:
    """How to decode. None leaves a setting to the server.

    A setting that the provider does not take is refused before anything is sent, never dropped.

    Raises:
        InvalidInput: A value is out of its range.
    """

    temperature: float | None = None
    """0 to 2; 0 takes the likeliest token each time."""
    top_p: float | None = None
    """Only the likeliest tokens that make up this share of probability."""
    max_tokens: int | None = None
    """Longest answer, reasoning included."""
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    top_k: int | None = None
    """Only so many of the likeliest tokens; 0 means all."""
    min_p: float | None = None
    """Only tokens at least this share as likely as the likeliest."""
    presence_penalty: float | None = None
    """-2 to 2: against tokens that were used at all."""
    frequency_penalty: float | None = None
    """-2 to 2: against tokens by how often they were used."""
    repetition_penalty: float | None = None
    """Divides the score of tokens that were used; 1 does nothing."""
    logprobs: int | None = None
    """Report the log-probability of each token and of so many others in its place (0 to 20)."""
    reasoning_effort: ReasoningEffort | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the server's own, sent as they are."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InvalidInput(f"params.{name}", f"{value!r} is not within {low:g} to {high:g}.")
        if self.reasoning_effort is not None and self.reasoning_effort not in _EFFORTS:
            raise InvalidInput(
                "params.reasoning_effort", f"{self.reasoning_effort!r} is none of {', '.join(_EFFORTS)}."
            )
        if not all(self.stop):
            raise InvalidInput("params.stop", "an empty text cannot end an answer.")

    def given(self) -> dict[str, Any]:
        """The settings that are set, `extra` left out."""
        found = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in found.items() if value is not None and value != ()}


SETTINGS: Final = tuple(one.name for one in fields(Params) if one.name != "extra")
"""Names of all settings."""
Names = Mapping[str, str]
"""Which settings a provider takes, and what it calls each."""


def _same(*names: str, **others: str) -> Names:
    return {**{name: name for name in names}, **others}


BASIC: Final = _same("temperature", "top_p", "max_tokens")
CLASSIC: Final = {**BASIC, **_same("seed", "stop", "presence_penalty", "frequency_penalty")}
"""What nearly every compatible server takes."""
COMPATIBLE: Final = {**CLASSIC, **_same("logprobs", "reasoning_effort")}
"""Chat completions as OpenAI first defined them."""
HOSTED: Final = {**COMPATIBLE, "max_tokens": "max_completion_tokens"}
OPEN: Final = {**COMPATIBLE, **_same("top_k", "min_p", "repetition_penalty")}
LLAMA: Final = {**OPEN, "repetition_penalty": "repeat_penalty"}
"""llama.cpp and what is built on it."""
MESSAGES: Final = _same("max_tokens", "reasoning_effort", stop="stop_sequences")
"""Anthropic's messages; the present models take no sampling settings."""
NOT_WHILE_REASONING: Final = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "stop"}
)
"""Refused by hosted models that reason before they answer."""


def wire_params(params: Params, names: Names, spec: str) -> dict[str, Any]:
    """The settings as fields of a request.

    Raises:
        UnsupportedParameter: One of them is not among `names`.
    """
    found: dict[str, Any] = {}
    for name, value in params.given().items():
        if name not in names:
            raise UnsupportedParameter(spec, name, tuple(names))
        if name == "logprobs":
            found |= {"logprobs": True, **({"top_logprobs": value} if value else {})}
        else:
            found[names[name]] = list(value) if name == "stop" else value
    return {**found, **params.extra}


def without_untaken(params: Params, names: Names) -> Params:
    """The same settings without those that are not taken, for requests where they are only wishes."""
    dropped: dict[str, Any] = {name: () if name == "stop" else None for name in params.given() if name not in names}
    return replace(params, **dropped) if dropped else params
