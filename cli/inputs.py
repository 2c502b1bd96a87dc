"""From INPUT, `--set field=value` and `--input FILE.json` to the input of a graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from ..core.errors import InvalidInput, nearest

if TYPE_CHECKING:
    from ..runs import Budget


@dataclass(frozen=True, slots=True)
class InputField:
    """One field that a graph takes."""

    name: str
    annotation: Any
    required: bool

    @property
    def takes_text(self) -> bool:
        """Whether plain text is a value of it."""
        return any(part is str for part in _alternatives(self.annotation))


def input_fields(graph: Any) -> list[InputField]:
    """The fields that a graph takes, in the order of its input schema."""
    builder = getattr(graph, "builder", graph)
    return _fields_of(getattr(builder, "input_schema", None) or builder.state_schema)


def state_fields(graph: Any) -> list[InputField]:
    """All fields of a graph's state, in their order."""
    return _fields_of(getattr(graph, "builder", graph).state_schema)


def _fields_of(schema: Any) -> list[InputField]:
    model: type[Any] | None = schema if isinstance(schema, type) else None
    if model is not None and issubclass(model, BaseModel):
        fields = model.model_fields.items()
        return [InputField(name, field.annotation, field.is_required()) for name, field in fields]
    optional: frozenset[str] = getattr(schema, "__optional_keys__", frozenset())
    return [InputField(n, hint, n not in optional) for n, hint in get_type_hints(schema).items()]


def gather_input(
    fields: Sequence[InputField], text: str | None, settings: Sequence[str], file: Path | None
) -> dict[str, Any]:
    """The input as field values: the file first, then `--set`, then INPUT.

    Args:
        fields: What the graph takes.
        text: INPUT, for the first required text field (else the first text field).
        settings: `field=value` each; JSON, or plain text where the field takes text.
        file: A JSON object of fields.

    Raises:
        InvalidInput: A field is unknown, or a value does not fit; names the field.
    """
    values = _from_file(file) if file else {}
    known = {field.name: field for field in fields}
    for name in values:
        _field(known, name)
    for setting in settings:
        name, value = setting_of(setting)
        field = _field(known, name)
        values[field.name] = _read(field, value)
    if text is not None:
        values[_text_field(fields, values).name] = text
    return values


def setting_of(text: str) -> tuple[str, str]:
    """Field and value of one `--set`.

    Raises:
        InvalidInput: It is not `field=value`.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput("--set", f"{text!r} is not field=value.")
    return name.strip(), value


def metadata_of(settings: Sequence[str]) -> dict[str, Any]:
    """What `--meta KEY=VALUE` gives; a value is JSON, else text.

    Raises:
        InvalidInput: One is not KEY=VALUE.
    """
    for setting in settings:
        if "=" not in setting:
            raise InvalidInput("--meta", f"{setting!r} is not KEY=VALUE.")
    return {name: read_value(value) for name, value in map(setting_of, settings)}


def budget_of(limits: Sequence[str]) -> Budget | None:
    """What `--budget MEASURE=LIMIT` gives; None without one.

    Raises:
        InvalidInput: The measure is unknown, or the limit is no number of its kind.
    """
    if not limits:
        return None
    from ..runs import Budget

    known = [field.name for field in fields(Budget)]
    found: dict[str, Any] = {}
    for limit in limits:
        name, _, amount = limit.partition("=")
        if name not in known:
            raise InvalidInput("--budget", f"there is no measure {name!r}. {nearest(name, known)}")
        whole = name not in ("usd", "seconds")
        try:
            found[name] = int(amount) if whole else float(amount)
        except ValueError as error:
            kind = "a whole number" if whole else "a number"
            raise InvalidInput("--budget", f"{name} needs {kind}, not {amount!r}.") from error
    return Budget(**found)


def read_value(text: str) -> Any:
    """JSON where the text is JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _from_file(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput("--input", f"{file}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("--input", f"{file} is not JSON ({error}).") from error
    if not isinstance(value, Mapping):
        raise InvalidInput("--input", f"{file} holds {type(value).__name__}, not an object of fields.")
    return dict(cast("Mapping[str, Any]", value))


def _field(known: Mapping[str, InputField], name: str) -> InputField:
    if name not in known:
        raise InvalidInput(name, f"the graph has no such input. {nearest(name, list(known))}")
    return known[name]


def _text_field(fields: Sequence[InputField], given: Mapping[str, Any]) -> InputField:
    texts = [field for field in fields if field.takes_text and field.name not in given]
    required = [field for field in texts if field.required]
    if not texts:
        names = ", ".join(field.name for field in fields) or "none"
        raise InvalidInput("INPUT", f"no text field is left for it; use --set field=value. Fields: {names}.")
    return (required or texts)[0]


def _read(field: InputField, text: str) -> Any:
    value = text if _only_text(field) else read_value(text)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(field.annotation)
    except PydanticSchemaGenerationError:  # a type of the user's own; the graph checks the value itself
        return value
    problem = _problem(adapter, value)
    if problem is None:
        return value
    if field.takes_text and _problem(adapter, text) is None:
        return text
    raise InvalidInput(field.name, f"{text!r} does not fit: {problem}.")


def _problem(adapter: TypeAdapter[Any], value: Any) -> str | None:
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        return f"{at}: {first['msg']}" if at else first["msg"]
    return None


def _only_text(field: InputField) -> bool:
    return all(part in (str, NoneType) for part in _alternatives(field.annotation))


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [part for choice in get_args(annotation) for part in _alternatives(choice)]
    if origin is Literal:
        return [type(choice) for choice in get_args(annotation)]
    return [annotation]
