"""Values to bytes and back, strictly: only types on an explicit list are ever built.

LangGraph's own serialiser writes the bytes, so that the format stays its format. Reading is ours: LangGraph's
gives raw data for a type that is not listed, or for one whose stored fields no longer fit, with a warning at
most; here both are errors. This module names private parts of langgraph-checkpoint 4.x; a test fails when they
change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from importlib import import_module
from typing import Any, TypeGuard, cast

import ormsgpack
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS, SAFE_MSGPACK_TYPES
from langgraph.checkpoint.serde.types import _DeltaSnapshot  # pyright: ignore[reportPrivateUsage]  # its wire form
from langgraph.types import Overwrite, Send
from pydantic import BaseModel, ValidationError

from ...core.errors import CorruptState, InvalidInput
from .once import Once

TypeName = tuple[str, str]
"""Module and name of a type."""

Allowed = Iterable[type | tuple[str, ...]]

_encode_known = cast(
    "Callable[[Any], Any]",
    jsonplus._msgpack_default,  # pyright: ignore[reportPrivateUsage]  # LangGraph's wire form of each type
)
# and its options; an integer of more than 64 bits, which msgpack does not have, comes to the hook
_PACK = jsonplus._option | ormsgpack.OPT_PASSTHROUGH_BIG_INT  # pyright: ignore[reportPrivateUsage]
_INT = ("builtins", "int")
_UNPACK = ormsgpack.OPT_NON_STR_KEYS


class StrictSerializer(jsonplus.JsonPlusSerializer):
    """LangGraph's serialiser with a list of types in place of trust."""

    def __init__(self, allowed: Allowed = ()) -> None:
        """Allow these types besides LangGraph's safe ones: plain values, times, ids, messages, documents.

        Args:
            allowed: Classes, or pairs of module and name.
        """
        self._listed = frozenset(_name_of(entry) for entry in allowed)
        super().__init__(allowed_msgpack_modules=tuple(self._listed) or None)
        self._classes: dict[TypeName, Any] = {}
        self._once = Once(self._encode_message, lambda packed: self._unpack(packed, []))

    def with_msgpack_allowlist(self, extra_allowlist: Allowed) -> StrictSerializer:
        """The same with more types; `StateGraph.compile` calls it with those of its schemas."""
        extra = {_name_of(entry) for entry in extra_allowlist}
        return self if extra <= self._listed else StrictSerializer(self._listed | extra)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Kind and bytes of a value.

        Raises:
            InvalidInput: The value holds a type that could not be read back.
        """
        if obj is None:
            return "null", b""
        if isinstance(obj, bytes):
            return "bytes", obj
        if isinstance(obj, bytearray):
            return "bytearray", bytes(obj)
        # ormsgpack drops what a hook raised, so the hooks leave it in this list.
        trouble: list[Exception] = []
        try:
            return "msgpack", self._bytes(trouble, obj)
        except ormsgpack.MsgpackEncodeError as error:
            if trouble:
                raise trouble[0] from None
            raise InvalidInput(type(obj).__name__, f"it cannot be kept in state: {error}.") from error

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value of a kind and its bytes.

        Raises:
            CorruptState: The bytes name a type that is not listed, or do not fit it, or are no msgpack.
        """
        kind, content = data
        if kind == "msgpack":
            return self._messages(content) if _may_be_messages(content) else self._unpack(content, [])
        if kind == "null":
            return None
        if kind == "bytes":
            return bytes(content)
        if kind == "bytearray":
            return bytearray(content)
        raise CorruptState(f"value of kind {kind!r}", "only msgpack and bytes are read from a checkpoint.")

    def _messages(self, content: bytes) -> Any:
        known = self._once.unpacked(content)
        if known is None:
            known = self._unpack(content, [])
            self._once.learn_list(known)
        return known

    def _default(self, trouble: list[Exception], obj: Any) -> Any:
        if type(obj) is int:
            return ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, ormsgpack.packb((*_INT, f"{obj:x}")))
        if _is_built_by_name(obj) and not self._lists(key := (type(obj).__module__, type(obj).__name__)):
            trouble.append(InvalidInput(f"type {'.'.join(key)}", f"a value of it cannot be kept: {_ADVICE}"))
            raise trouble[0]
        try:
            if isinstance(obj, BaseMessage):
                return self._once.encoded(obj)
            if type(obj) is Overwrite:  # what carries a conversation into the next run of its thread
                return ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_KW_ARGS, self._dataclass(trouble, obj))
        except InvalidInput as error:
            trouble.append(error)
            raise
        # as LangGraph encodes them, but for what is inside: that comes to this hook again
        name = type(obj).__module__, type(obj).__name__
        if isinstance(obj, BaseModel):
            inside = (*name, obj.model_dump(), "model_validate_json")
            return ormsgpack.Ext(jsonplus.EXT_PYDANTIC_V2, self._bytes(trouble, inside))
        if dataclasses.is_dataclass(obj) and not isinstance(obj, Enum):
            fields = {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
            return ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_KW_ARGS, self._bytes(trouble, (*name, fields)))
        return _encode_known(obj)

    def _bytes(self, trouble: list[Exception], obj: Any) -> bytes:
        if type(obj) is list and obj and isinstance(obj[0], BaseMessage):
            packed = self._once.packed(cast("list[Any]", obj))
            if packed is not None:
                return packed
        return ormsgpack.packb(obj, default=partial(self._default, trouble), option=_PACK)

    def _dataclass(self, trouble: list[Exception], obj: Any) -> bytes:
        """As LangGraph encodes a dataclass: its module, its name and its fields."""
        fields = [(field.name, getattr(obj, field.name)) for field in dataclasses.fields(obj)]
        parts = [part for name, value in fields for part in (ormsgpack.packb(name), self._bytes(trouble, value))]
        names = ormsgpack.packb(type(obj).__module__) + ormsgpack.packb(type(obj).__name__)
        return b"".join((b"\x93", names, bytes([0x80 | len(fields)]), *parts))

    def _encode_message(self, message: BaseMessage) -> ormsgpack.Ext:
        if not self._lists(key := (type(message).__module__, type(message).__name__)):
            raise InvalidInput(f"type {'.'.join(key)}", f"a value of it cannot be kept: {_ADVICE}")
        return cast("ormsgpack.Ext", _encode_known(message))

    def _unpack(self, content: bytes, trouble: list[Exception]) -> Any:
        try:
            return ormsgpack.unpackb(content, ext_hook=partial(self._revive, trouble), option=_UNPACK)
        except ormsgpack.MsgpackDecodeError as error:
            if trouble:
                raise trouble[0] from None
            raise CorruptState("value", f"the stored bytes cannot be read: {error}.") from error

    def _revive(self, trouble: list[Exception], code: int, content: bytes) -> Any:
        try:
            built = self._build(code, self._unpack(content, trouble))
            if isinstance(built, BaseMessage):
                self._once.learn(built, code, content)
            return built
        except CorruptState as error:
            trouble.append(error)
            raise

    def _build(self, code: int, parts: Any) -> Any:
        if code == jsonplus.EXT_DELTA_SNAPSHOT:
            return _DeltaSnapshot(parts)
        if code == jsonplus.EXT_NUMPY_ARRAY:
            return _array(parts)
        module, name, payload, *method = parts
        try:
            return self._construct(code, (module, name), payload, method)
        except CorruptState:
            raise
        except Exception as error:  # whatever the type's own code raises means: this no longer fits it
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CorruptState(f"value of type {module}.{name}", f"the type refuses what is stored: {what}") from error

    def _construct(self, code: int, key: TypeName, payload: Any, method: list[str]) -> Any:
        if code == jsonplus.EXT_METHOD_SINGLE_ARG:
            if (*key, *method) not in SAFE_MSGPACK_METHODS:
                raise CorruptState(f"value of type {'.'.join(key)}", f"it asks for the method {method}.")
            return getattr(self._class(key), method[0])(payload)
        if key == _INT:
            return int(payload, 16)
        cls = self._class(key)
        match code:
            case jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG:
                return cls(payload)
            case jsonplus.EXT_CONSTRUCTOR_POS_ARGS:
                return _send(payload) if cls is Send else cls(*payload)
            case jsonplus.EXT_CONSTRUCTOR_KW_ARGS:
                return cls(**payload)
            case jsonplus.EXT_PYDANTIC_V1 | jsonplus.EXT_PYDANTIC_V2:
                return _model(cls, payload)
            case _:
                raise CorruptState(f"value of type {'.'.join(key)}", f"its extension code {code} is unknown.")

    def _class(self, key: TypeName) -> Any:
        """The class of this name; looked up only when the name is listed."""
        cls = self._classes.get(key)
        if cls is None:
            if not self._lists(key):
                raise CorruptState(f"value of type {'.'.join(key)}", _ADVICE)
            cls = self._classes[key] = getattr(import_module(key[0]), key[1])
        return cls

    def _lists(self, key: TypeName) -> bool:
        return key in self._listed or key in SAFE_MSGPACK_TYPES


_ADVICE = "the type is not among those that the graph's schemas name. Name it in an annotation of the state."


def _name_of(entry: type | tuple[str, ...]) -> TypeName:
    if isinstance(entry, type):
        return entry.__module__, entry.__name__
    module, name = entry
    return module, name


def _may_be_messages(content: bytes) -> bool:
    """Whether the bytes are an array whose first item is of an extension type."""
    first = content[:1]
    after = 1 if b"\x91" <= first <= b"\x9f" else {b"\xdc": 3, b"\xdd": 5}.get(first, len(content))
    return content[after : after + 1] in (b"\xc7", b"\xc8", b"\xc9")


def _is_built_by_name(obj: Any) -> TypeGuard[object]:
    """True for values of user types, which are stored as a class name and fields."""
    if isinstance(obj, _DeltaSnapshot):
        return False
    return (
        hasattr(obj, "model_dump")
        or hasattr(obj, "_asdict")
        or isinstance(obj, Enum)
        or (dataclasses.is_dataclass(obj) and not isinstance(obj, type))
    )


def _model(cls: Any, payload: dict[str, Any]) -> Any:
    try:
        return cls(**payload)
    except ValidationError:
        # Fields are stored under their names; a model with aliases may take only those by default.
        if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
            raise
        return cls.model_validate(payload, by_name=True, by_alias=True)


def _send(arguments: list[Any]) -> Send:
    node, argument, *timeout = arguments
    return Send(node, argument, timeout=timeout[0]) if timeout else Send(node, argument)


def _array(parts: list[Any]) -> Any:
    import numpy

    dtype, shape, order, content = parts
    return numpy.frombuffer(content, dtype=numpy.dtype(dtype)).reshape(shape, order=order)
