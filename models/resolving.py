"""From a spec to a model: `model()` reads and checks, and makes clients only when they are used."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.context import current_run
from ..core.errors import BackendUnavailable, InvalidInput, UnknownModel, nearest
from ..core.settings import model_spec, response_cache
from ..core.tape import tape_in_use
from .backend import Backend, Call, answer_of, events_of
from .base import Capabilities, Completion, Model, StreamEvent
from .catalogue import Weights, catalogue, entry
from .compatible.limits import LIMITS, Limits
from .fallback import Fallback
from .profiles import PROFILES
from .specs import Spec, address_of, parse_spec
from .taping import capabilities_on_tape, spec_on_tape

if TYPE_CHECKING:
    import openai

    from .caching import ResponseCache
    from .compatible.backend import CompatibleModel
    from .compatible.transport import Transport

DEFAULT_WEIGHTS = "smollm2"
"""What `embedded` means without a name."""


def model(
    spec: str | Model | None = None,
    *,
    client: openai.AsyncOpenAI | None = None,
    capabilities: Capabilities | None = None,
    limits: Limits | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Model:
    """The model that a spec names; no connection is made before it is used.

    Args:
        spec: `provider:model[@url]`, several of them with `|` between (a `Fallback`), a Model,
            or None: then each call uses the model of the run it belongs to, else `COLLEGIUM_MODEL`, else `embedded`.
        client: An `openai.AsyncOpenAI` (or Azure) to send requests through.
        capabilities: What the model can do, in place of the declared or measured.
        limits: How often a request is tried, how long is waited, how much of an answer is believed.
        cache: A folder in which answers are kept while one develops, so that an identical request is not sent twice;
            by default `COLLEGIUM_RESPONSE_CACHE`, else none.

    Raises:
        UnknownModel: The spec cannot be read, or can only be handed over as an object.
    """
    if spec is None:
        return RunModel()
    if not isinstance(spec, str):
        return spec if isinstance(spec, Backend) else HandedModel(spec)
    if "|" in spec:
        parts = [part.strip() for part in spec.split("|")]
        return Fallback(
            [model(part, client=client, capabilities=capabilities, limits=limits, cache=cache) for part in parts]
        )
    parsed = parse_spec(spec)
    _refuse_scripted(parsed)
    return NamedModel(parsed, client=client, capabilities=capabilities, limits=limits, cache=cache)


class _Handle(Backend):
    """A model that is made when it is first called."""

    _noted_as = ""
    """What a recording calls it; empty for its spec."""

    def _model(self) -> Model:
        raise NotImplementedError

    async def capabilities(self) -> Capabilities:
        """What it can do."""
        if tape := tape_in_use():
            return await capabilities_on_tape(tape, self._noted_as or self.spec, lambda: self._model().capabilities())
        return await self._model().capabilities()

    async def answer(self, call: Call) -> Completion[Any]:
        """One whole answer."""
        return await answer_of(self._model(), call)

    async def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes."""
        async with aclosing(events_of(self._model(), call)) as events:
            async for event in events:
                yield event


class NamedModel(_Handle):
    """The model behind one spec; its client is made at the first call."""

    def __init__(
        self,
        spec: Spec,
        *,
        client: openai.AsyncOpenAI | None = None,
        capabilities: Capabilities | None = None,
        limits: Limits | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        self._parsed, self._client, self._capabilities, self._limits = spec, client, capabilities, limits
        self._cache = cache
        self._made: CompatibleModel | None = None

    @property
    def spec(self) -> str:
        """What names this model."""
        return str(self._parsed)

    @property
    def place(self) -> str:
        """Where the model is: its server's address, or the file of its weights."""
        return self._model().place

    async def answer(self, call: Call) -> Completion[Any]:
        """One whole answer; a kept one where a cache has it."""
        if (cache := self._responses()) is None:
            return await answer_of(self._model(), call)
        return await cache.answer(self.spec, call, lambda: answer_of(self._model(), call))

    def answer_stream(self, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The answer as it comes; a kept one as one piece."""
        if (cache := self._responses()) is None:
            return super().answer_stream(call)
        return cache.stream(self.spec, call, lambda: events_of(self._model(), call))

    def _responses(self) -> ResponseCache | None:
        folder = self._cache or response_cache()
        if folder is None:
            return None
        from .caching import ResponseCache

        return ResponseCache(folder)

    async def probe(self) -> Capabilities:
        """Measure afresh what the model can do, and remember it.

        Raises:
            BackendUnavailable: The server does not answer.
        """
        return await self._model().probe()

    async def aclose(self) -> None:
        """Close connections; the embedded server ends."""
        if self._made:
            await self._made.aclose()

    def _model(self) -> CompatibleModel:
        if self._made is None:
            self._made = _make(self._parsed, self._client, self._capabilities, self._limits or LIMITS)
        return self._made


class HandedModel(_Handle):
    """A model of a user's own class, behind the doors that every model has."""

    def __init__(self, given: Model) -> None:
        self._given = given

    @property
    def spec(self) -> str:
        """What names it."""
        return self._given.spec

    async def aclose(self) -> None:
        """Close it."""
        await self._given.aclose()

    def _model(self) -> Model:
        return self._given


class RunModel(_Handle):
    """Whatever model the present run was started with."""

    _noted_as = "run"

    @property
    def spec(self) -> str:
        """The spec that a call made now would use."""
        chosen = self._chosen()
        spec = chosen if isinstance(chosen, str) else chosen.spec
        return spec if (tape := tape_in_use()) is None else spec_on_tape(tape, spec)

    async def aclose(self) -> None:
        """Nothing: the model belongs to the run, or to the process."""

    def _chosen(self) -> str | Model:
        run = current_run.get()
        given = run.model_spec if run else None
        if isinstance(given, Model):
            return given
        return given if isinstance(given, str) and given else model_spec()

    def _model(self) -> Model:
        chosen = self._chosen()
        return shared_model(chosen) if isinstance(chosen, str) else chosen


_shared: dict[str, Model] = {}


def shared_model(spec: str) -> Model:
    """The one model of this process for a spec, so that runs share its connections and its server.

    Raises:
        UnknownModel: The spec cannot be read.
    """
    if spec not in _shared:
        _shared[spec] = model(spec)
    return _shared[spec]


async def close_shared() -> None:
    """Close the connections that shared models hold in this event loop, and end embedded servers."""
    for shared in list(_shared.values()):
        await shared.aclose()


def limit_server(
    spec: str,
    *,
    concurrency: int | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> None:
    """Limit what this process asks of a server; all runs and all models there share it.

    What goes beyond waits its turn, or is refused where its turn lies past the deadline of the call.

    Args:
        spec: Any model of the server.
        concurrency: Requests open at once.
        requests_per_minute: In any 60 seconds.
        tokens_per_minute: Prompt and answer together, guessed before and corrected after; in any 60 seconds.

    Raises:
        UnknownModel: The spec cannot be read.
        InvalidInput: A limit is below 1.
    """
    from .compatible.gates import gate_of

    limits = {
        "concurrency": concurrency,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    for name, value in limits.items():
        if value is not None and value < 1:
            raise InvalidInput(name, f"{value!r} is not at least 1; leave it out for no limit.")
    gate_of(NamedModel(parse_spec(spec)).place).limit(**limits)


def _refuse_scripted(spec: Spec) -> None:
    if spec.profile.transport == "scripted":
        raise UnknownModel(
            str(spec),
            "a scripted model is handed over as an object: model=collegium.testing.ScriptedModel([...]).",
        )


def _make(
    spec: Spec, client: openai.AsyncOpenAI | None, capabilities: Capabilities | None, limits: Limits
) -> CompatibleModel:
    from .compatible.backend import CompatibleModel  # aiohttp loads here, at the first call

    if spec.provider == "embedded":
        return _make_embedded(spec, capabilities, limits)
    if client is not None or spec.profile.transport == "sdk":
        from .compatible.sdk import SdkTransport

        sdk = SdkTransport(spec, client, limits)
        own_api = spec.profile.transport in ("anthropic", "ollama")  # which an OpenAI client does not speak
        profile = PROFILES["openai-compatible"] if own_api else spec.profile
        return CompatibleModel(str(spec), spec.model, profile, sdk, capabilities=capabilities, limits=limits)
    transport = _transport(spec, limits)
    return CompatibleModel(str(spec), spec.model, spec.profile, transport, capabilities=capabilities, limits=limits)


def _transport(spec: Spec, limits: Limits) -> Transport:
    if spec.profile.transport == "anthropic":
        from .anthropic.transport import AnthropicTransport

        return AnthropicTransport(spec)
    if spec.profile.transport == "ollama":
        from .ollama.transport import OllamaTransport

        return OllamaTransport(str(spec), address_of(spec), spec.model)
    from .compatible.transport import AiohttpTransport

    return AiohttpTransport(str(spec), address_of(spec), spec.profile, limits=limits)


def _make_embedded(spec: Spec, capabilities: Capabilities | None, limits: Limits) -> CompatibleModel:
    from .compatible.backend import CompatibleModel
    from .embedded.process import shared_server
    from .embedded.transport import EmbeddedTransport

    weights = _weights(spec)
    path = weights.folder / weights.files[0].name if weights else Path(os.path.expanduser(spec.model)).resolve()
    window = weights.context_tokens if weights else 4096
    if weights and weights.level and capabilities is None:
        capabilities = Capabilities(weights.level, tools=False, context_tokens=window)
    transport = EmbeddedTransport(str(spec), shared_server(path, str(spec), window))
    name = weights.name if weights else path.stem
    return CompatibleModel(str(spec), name, spec.profile, transport, capabilities=capabilities, limits=limits)


def _weights(spec: Spec) -> Weights | None:
    """The catalogue's entry, or None for a GGUF file by path; either way the file is there.

    Raises:
        UnknownModel: There is no such entry or file.
        BackendUnavailable: The entry was not pulled yet.
    """
    if spec.model.endswith(".gguf") or "/" in spec.model:
        if not Path(os.path.expanduser(spec.model)).is_file():
            raise UnknownModel(str(spec), f"there is no file {spec.model!r}.")
        return None
    name = spec.model or DEFAULT_WEIGHTS
    models = [weights.name for weights in catalogue().values() if weights.kind == "model"]
    if name not in models:
        raise UnknownModel(str(spec), f"{name!r} is no embedded model and no .gguf file. {nearest(name, models)}")
    weights = entry(name)
    if not weights.installed:
        raise BackendUnavailable(
            str(spec),
            f"its weights are not on this machine. Get them once with `collegium models pull {name}` "
            f"({weights.download // 1_000_000} MB), or choose another model with --model or COLLEGIUM_MODEL.",
        )
    return weights
