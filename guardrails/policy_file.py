"""Policies from YAML, which JSON is a part of.

PyYAML's safe loader makes plain values only; aliases are refused, as nested ones grow without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

from ..core.errors import InvalidInput, nearest
from .policy import Mode, Policy, Rule, Verdict

_PARTS = ("rules", "destinations", "grants", "mode")
_RULE = ("verdict", "tool", "agent", "risk", "effect", "trust", "destination", "arguments")
MAX_BYTES = 1_000_000


def read_policy(path: Path) -> Policy:
    """The policy in a file; see `Policy.from_file`."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"it cannot be read ({error}).") from error
    if len(data) > MAX_BYTES:
        raise InvalidInput(str(path), f"it has {len(data)} bytes, and {MAX_BYTES} is the most.")
    return policy_from(_plain(text, str(path)), str(path))


def policy_from(given: Any, place: str = "policy") -> Policy:
    """The policy that plain values describe.

    Args:
        given: A mapping of `rules`, `destinations`, `grants` and `mode`, each of which may be missing.
        place: What messages call it.

    Raises:
        InvalidInput: Something in it is none of a policy.
    """
    parts = _mapping({} if given is None else given, place, _PARTS)
    mode = parts.get("mode", "standard")
    if mode not in get_args(Mode):
        raise InvalidInput(f"{place}: mode", f"{mode!r} is none of {', '.join(get_args(Mode))}.")
    grants = parts.get("grants")
    return Policy(
        _rules(parts.get("rules", ()), f"{place}: rules"),
        _texts(parts.get("destinations", ()), f"{place}: destinations"),
        None if grants is None else _each(grants, f"{place}: grants", _texts),
        mode,
    )


def _plain(text: str, place: str) -> Any:
    yaml: Any = import_module("yaml")  # it ships without types
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
            raise InvalidInput(place, 'it uses an alias (`*name`); write the value out, and quote patterns: "*".')
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(place, f"it is no YAML ({' '.join(str(error).split())}).") from error


def _rules(given: Any, place: str) -> Mapping[str, Verdict] | tuple[Rule, ...]:
    if isinstance(given, Mapping):
        return cast("Mapping[str, Verdict]", _each(given, place, _verdict))
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidInput(place, "give names with verdicts, or a list of rules.")
    return tuple(_rule(one, f"{place}[{n}]") for n, one in enumerate(cast("Sequence[Any]", given)))


def _rule(given: Any, place: str) -> Rule:
    parts: dict[str, Any] = _mapping(given, place, _RULE)
    if "verdict" not in parts:
        raise InvalidInput(place, f"it has no verdict; give {', '.join(get_args(Verdict))}.")
    if "arguments" in parts:
        parts["arguments"] = _each(parts["arguments"], f"{place}.arguments", _text)
    for name in ("tool", "agent"):
        if name in parts:
            _text(parts[name], f"{place}.{name}")
    try:
        return Rule(**parts)
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error.field.removeprefix('rule.')}", error.problem) from error
    except TypeError as error:  # a list or an object where a word is meant
        raise InvalidInput(place, f"a part of it is no word ({error}).") from error


def _mapping(given: Any, place: str, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidInput(place, f"give an object with some of {', '.join(known)}.")
    found = cast("Mapping[Any, Any]", given)
    for name in found:
        if name not in known:
            raise InvalidInput(place, f"{name!r} means nothing here. {nearest(str(name), known)}")
    return {str(name): value for name, value in found.items()}


def _each(given: Any, place: str, read: Callable[[Any, str], Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidInput(place, "give an object of names.")
    found = cast("Mapping[Any, Any]", given)
    return {_text(name, place): read(value, f"{place}.{name}") for name, value in found.items()}


def _verdict(given: Any, place: str) -> Any:
    if given not in get_args(Verdict):
        raise InvalidInput(place, f"{given!r} is none of {', '.join(get_args(Verdict))}.")
    return given


def _texts(given: Any, place: str) -> tuple[str, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidInput(place, "give a list of texts.")
    return tuple(_text(one, place) for one in cast("Sequence[Any]", given))


def _text(given: Any, place: str) -> str:
    if not isinstance(given, str):
        raise InvalidInput(place, f"{given!r} is no text; quote it.")
    return given
