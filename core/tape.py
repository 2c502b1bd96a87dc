"""What passes between a run and the outside, recorded or played back.

While a tape is in use, model calls, tool bodies, searches, embeddings, ids, times and decisions go through it:
it notes them, or answers in their place. Without one, each door costs a look at one variable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Generic, NamedTuple, NoReturn, Protocol, TypeVar, cast

from . import errors
from .errors import BackendError, CassetteMismatch, CollegiumError, InvalidInput

ValueT = TypeVar("ValueT")
EventT = TypeVar("EventT")

Heard = list[dict[str, Any]]
"""What models told their run during one entry: how it is told again is up to the models' room."""


class Tape(Protocol):
    """Notes what comes from outside, or gives it back."""

    @property
    def replaying(self) -> bool:
        """Whether answers come from the tape, and nothing else is asked."""
        ...

    @property
    def held(self) -> dict[object, Any]:
        """What other rooms keep for as long as the tape is in use."""
        ...

    def play(self, kind: str, request: Any) -> dict[str, Any]:
        """What came of exactly this request at this place of the run; each entry is played once.

        Raises:
            CassetteMismatch: The recording holds another request here, or none.
        """
        ...

    def keep(self, kind: str, request: Any, came: dict[str, Any]) -> None:
        """Note what came of a request."""
        ...

    def clean(self, value: Any) -> Any:
        """JSON types without secrets, as they are written."""
        ...

    def fact(self, kind: str, name: str) -> Any:
        """What was noted under a name, any number of times; None where nothing was."""
        ...

    def keep_fact(self, kind: str, name: str, value: Any) -> None:
        """Note what holds throughout."""
        ...

    def decision_on(self, approval_id: str) -> Any:
        """What a person decided in the recording; None where nobody did."""
        ...

    def now(self) -> datetime:
        """The time of what was played last."""
        ...

    def new_id(self, prefix: str) -> str | None:
        """The next recorded id of a prefix; None when there is none."""
        ...

    def keep_id(self, prefix: str, made: str) -> None:
        """Note an id."""
        ...

    def arrange(self, events: Sequence[EventT], *, rest: bool = False) -> list[EventT]:
        """The events to publish, in the order and with the times of the recording; those that come early wait.

        Args:
            events: What has just happened.
            rest: The run comes to rest, so that nothing may wait any longer.
        """
        ...


class Codec(NamedTuple, Generic[ValueT]):
    """How a value is written on a tape, and read."""

    write: Callable[[ValueT], Any]
    read: Callable[[Any], ValueT]


def _same(value: Any) -> Any:
    return value


PLAIN: Codec[Any] = Codec(_same, _same)
"""For values that are JSON already."""

_in_use: Tape | None = None
# Inside an entry nothing is noted: it is played back whole.
_inside: ContextVar[bool] = ContextVar("collegium_tape_inside", default=False)
_hearing: ContextVar[Heard | None] = ContextVar("collegium_tape_hearing", default=None)


def tape_in_use() -> Tape | None:
    """The tape that the next request goes through; None without one, and inside an entry."""
    return None if _in_use is None or _inside.get() else _in_use


def whole_tape() -> Tape | None:
    """The tape in use, inside an entry, too: for what stands beside entries, such as events."""
    return _in_use


def in_replay() -> Tape | None:
    """The tape that is being played back, if one is."""
    return _in_use if _in_use is not None and _in_use.replaying else None


def same_id(prefix: str, make: Callable[[str], str]) -> str:
    """The recorded id of a replay, else a new one, noted; a new one, too, where the recording has no more."""
    tape = _in_use
    if tape is None:
        return make(prefix)
    if tape.replaying:
        return tape.new_id(prefix) or make(prefix)
    made = make(prefix)
    tape.keep_id(prefix, made)
    return made


def put_in(tape: Tape) -> None:
    """Use a tape for the whole process, its threads included.

    Raises:
        InvalidInput: One is in use already.
    """
    global _in_use
    if _in_use is not None and _in_use is not tape:
        raise InvalidInput("cassette", "another one is in use; a process records or replays one at a time.")
    _in_use = tape


def take_out(tape: Tape) -> None:
    """Do without the tape again."""
    global _in_use
    if _in_use is tape:
        _in_use = None


def hear(said: dict[str, Any]) -> None:
    """Note with the present entry what a model told its run."""
    if (heard := _hearing.get()) is not None:
        heard.append(said)


async def through(
    tape: Tape,
    kind: str,
    request: Any,
    make: Callable[[], Awaitable[ValueT]],
    codec: Codec[ValueT] = PLAIN,
    tell_again: Callable[[Heard], None] | None = None,
    *,
    cleaned: bool = False,
) -> ValueT:
    """What `make` gives, noted; or what was noted, without `make`.

    Args:
        tape: In use.
        kind: `model`, `tool`, `search` …
        request: What is asked, as JSON; a replay must ask the same.
        make: Asks the outside.
        codec: Of what it gives. An error of our tree is noted as well.
        tell_again: Tells the run what models told it during the recording.
        cleaned: Give a recording run, too, the value without secrets: what is read and computed with, such as
            passages, must be the same in the replay.

    Raises:
        CassetteMismatch: The recording holds another request here, or none.
    """
    if tape.replaying:
        return replayed(tape, kind, request, codec, tell_again)
    with noting(tape, kind, request) as came:
        value = await make()
        came["answer"] = codec.write(value)
    return codec.read(tape.clean(came["answer"])) if cleaned else value


def through_now(
    tape: Tape, kind: str, request: Any, make: Callable[[], ValueT], codec: Codec[ValueT] = PLAIN
) -> ValueT:
    """As `through`, for what is not awaited."""
    if tape.replaying:
        return replayed(tape, kind, request, codec)
    with noting(tape, kind, request) as came:
        value = make()
        came["answer"] = codec.write(value)
    return value


def replayed(
    tape: Tape,
    kind: str,
    request: Any,
    codec: Codec[ValueT] = PLAIN,
    tell_again: Callable[[Heard], None] | None = None,
) -> ValueT:
    """What was noted for a request; an error that was noted is raised."""
    return codec.read(replayed_whole(tape, kind, request, tell_again)["answer"])


def replayed_whole(
    tape: Tape, kind: str, request: Any, tell_again: Callable[[Heard], None] | None = None
) -> dict[str, Any]:
    """As `replayed`, with everything that was noted."""
    came = tape.play(kind, request)
    if tell_again and "heard" in came:
        tell_again(came["heard"])
    if "asked" in came:
        _ask_again(came["asked"])
    if "error" in came:
        raise error_from_json(came["error"])
    return came


@contextmanager
def noting(tape: Tape, kind: str, request: Any) -> Generator[dict[str, Any]]:
    """Note what is put into the mapping, what models tell their run meanwhile, and an error of our tree."""
    came: dict[str, Any] = {}
    heard: Heard = []
    try:
        with listening(heard):
            yield came
    except Exception as error:  # only what can be written down is: our own tree, and LangGraph's way to park a run
        came |= came_of(error)
        raise
    finally:
        if came:
            tape.keep(kind, request, {**came, "heard": heard} if heard else came)


@contextmanager
def listening(heard: Heard) -> Generator[None]:
    """Within it nothing is noted by itself, and what models tell their run is added to the list."""
    tokens = _inside.set(True), _hearing.set(heard)
    try:
        yield
    finally:
        _inside.reset(tokens[0])
        _hearing.reset(tokens[1])


def came_of(error: Exception) -> dict[str, Any]:
    """What is noted of an exception; empty where it cannot be written down."""
    if isinstance(error, CassetteMismatch):
        return {}
    if isinstance(error, CollegiumError):
        return {"error": error_to_json(error)}
    return {"asked": asked} if (asked := _asked(error)) else {}


def recorded(name: str, make: Callable[[], ValueT]) -> ValueT:
    """A value that a node takes from outside its graph: the time, an id, a random number.

    Recorded under its name, and the same in a replay, so that prompts which hold it stay the same.

    Args:
        name: What it is.
        make: Gives the value, which must be made of JSON types.
    """
    tape = tape_in_use()
    return make() if tape is None else through_now(tape, "value", name, make)


def error_to_json(error: CollegiumError) -> dict[str, Any]:
    """An error of our tree as JSON: its class, and the arguments that it is built from."""
    known = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    written: dict[str, Any] = {"type": known.__name__, "args": [_plain(value) for value in error.args]}
    if isinstance(error, BackendError) and error.requests:
        written["requests"] = error.requests
    return written


def error_from_json(written: dict[str, Any]) -> CollegiumError:
    """The error that `error_to_json` described."""
    kind: type[CollegiumError] = getattr(errors, str(written["type"]))
    error = kind(*written["args"])
    if isinstance(error, BackendError):
        error.requests = written.get("requests", 0)
    return error


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_plain(item) for item in cast("Sequence[Any]", value)]
        case _:
            return str(value)


def _asked(error: Exception) -> list[Any]:
    from langgraph.errors import GraphInterrupt

    if not isinstance(error, GraphInterrupt):
        return []
    return [interrupt.value for interrupt in error.args[0]]


def _ask_again(asked: Sequence[Any]) -> NoReturn:
    """Park the node as it was parked; what it is told at its next start comes from the tape as well."""
    from langchain_core.runnables.config import var_child_runnable_config
    from langgraph.errors import GraphInterrupt
    from langgraph.types import Interrupt

    config = var_child_runnable_config.get() or {}
    namespace = str(config.get("configurable", {}).get("checkpoint_ns", ""))
    raise GraphInterrupt(tuple(Interrupt.from_ns(value, namespace) for value in asked))
