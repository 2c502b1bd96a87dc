"""Arguments checked against a schema that a server wrote.

jsonschema does the checking; what is added are bounds, because the schema is foreign: references are not fetched,
patterns are not run (Python's `re` can be kept busy for years by a short one), and the number of steps is limited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

_MAX_STEPS = 50_000
_SCHEMAS_BY_NAME = ("properties", "$defs", "definitions", "dependentSchemas")
_DATA = ("enum", "const", "default", "examples")

Check = Callable[[Mapping[str, Any]], str | None]
"""The first problem of some arguments, which names the argument; None when they fit."""


class UnusableSchema(ValueError):
    """A schema that arguments cannot be checked against."""


def make_check(schema: Mapping[str, Any]) -> Check:
    """A check of arguments against `schema`.

    Raises:
        UnusableSchema: It is no JSON Schema of an object.
    """
    import jsonschema.validators as validators
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry

    if schema.get("type", "object") != "object":
        raise UnusableSchema(f"its type is {schema.get('type')!r:.80}, and arguments are an object")
    if not isinstance(schema.get("$schema", ""), str):
        raise UnusableSchema("its $schema is no text")
    try:
        kind: Any = validators.validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
        safe = _without_patterns(schema)
    except SchemaError as error:
        raise UnusableSchema(f"it is no JSON Schema ({error.message:.200})") from error
    except RecursionError as error:
        raise UnusableSchema("it is nested too deeply") from error
    steps = _Steps()
    counted = {word: steps.counted(check) for word, check in kind.VALIDATORS.items()}
    extend = cast("Any", validators).extend
    # an empty registry: nothing is fetched
    validator = extend(kind, counted)(safe, registry=cast("Any", Registry)())

    def check(arguments: Mapping[str, Any]) -> str | None:
        steps.left = _MAX_STEPS
        return _first_problem(validator, arguments)

    return check


def _first_problem(validator: Any, arguments: Mapping[str, Any]) -> str | None:
    import jsonschema.exceptions as problems
    from referencing.exceptions import Unresolvable

    try:
        error = cast("Any", problems).best_match(validator.iter_errors(dict(arguments)))
    except RecursionError:
        return "they, or their schema, are nested too deeply to be checked"
    except _TooManySteps:
        return f"checking them takes more than {_MAX_STEPS:,} steps"
    except Unresolvable as problem:
        return f"the schema refers to what is not in it ({problem!s:.200})"
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path)
    message: str = error.message
    return f"{where!r:.120}: {message:.300}" if where else f"{message:.300}"


class _TooManySteps(Exception):
    """The schema multiplies."""


class _Steps:
    """Counts what a validator does, as a few references can stand for more checks than there is time."""

    def __init__(self) -> None:
        self.left = _MAX_STEPS

    def counted(self, check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def one(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            self.left -= 1
            if self.left < 0:
                raise _TooManySteps
            yield from check(validator, value, instance, schema) or ()

        return one


def _without_patterns(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    own = cast("dict[str, Any]", schema)
    kept = {key: _kept(key, value) for key, value in own.items() if key not in ("pattern", "patternProperties")}
    if "patternProperties" in own:
        # what the patterns would have allowed can no longer be told from what is one too many
        kept.pop("additionalProperties", None)
        kept.pop("unevaluatedProperties", None)
    return kept


def _kept(key: str, value: Any) -> Any:
    if key in _DATA:
        return value
    if key in _SCHEMAS_BY_NAME and isinstance(value, dict):
        return {name: _without_patterns(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_without_patterns(part) for part in cast("list[Any]", value)]
    return _without_patterns(value)
