"""Messages of a long conversation, encoded and decoded once in a process.

Each turn of a chat reads and writes the whole list, so what one message costs decides how turns grow with the length
of the conversation. Nothing is shared with whoever uses a message: a known one is copied, and one that was changed
in place is seen and encoded anew.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import ormsgpack
from langchain_core.messages import BaseMessage
from pydantic import BaseModel

ROOM = 32_000_000
"""Bytes of encoded messages and lists that are remembered at least; twice as many at most."""

_ATOMS = (str, int, float, bool, type(None))

# A message is filled through its slots: `object.__setattr__` looks each one up (a third of the time, measured).
_slots = cast("dict[str, Any]", BaseModel.__dict__)
_set_values, _set_fields_set, _set_extra, _set_private = (
    _slots[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


class Form:
    """One message as it was when it was encoded or decoded."""

    __slots__ = ("_dicts", "_fields_set", "_lists", "_loose", "exact", "kind", "packed", "stored", "values")

    def __init__(self, message: BaseMessage, stored: ormsgpack.Ext, packed: bytes, decoded: BaseMessage | None) -> None:
        self.stored, self.packed = stored, packed
        self.exact = decoded is not None
        """Whether decoding gives this message, in all its parts."""
        self.kind = type(message)
        self.values: dict[str, Any] = _copied(message.__dict__)
        self._fields_set = set((decoded or message).__pydantic_fields_set__)
        self._dicts = [name for name, value in self.values.items() if value == {}]
        self._lists = [name for name, value in self.values.items() if value == []]
        self._loose = [name for name, value in self.values.items() if value and type(value) in (list, dict)]

    def fits(self, message: BaseMessage) -> bool:
        """Whether the message is still this one, in all its parts."""
        known: Any = self.values
        return known == message.__dict__ and type(message) is self.kind and not message.__pydantic_extra__

    def message(self) -> BaseMessage:
        """The message, to keep and to change."""
        values = self.values.copy()
        for name in self._dicts:
            values[name] = {}
        for name in self._lists:
            values[name] = []
        for name in self._loose:
            values[name] = _copied(values[name])
        made = self.kind.__new__(self.kind)
        _set_values(made, values)
        _set_fields_set(made, self._fields_set.copy())
        _set_extra(made, {})
        _set_private(made, None)
        return made


class Once:
    """The forms of messages, and of the last list of each conversation; the oldest are forgotten first."""

    def __init__(self, encode: Callable[[BaseMessage], ormsgpack.Ext], decode: Callable[[bytes], Any]) -> None:
        """Remember what these two do.

        Args:
            encode: Makes what stands for a message in msgpack.
            decode: Makes a message of these bytes again; raises where it cannot.
        """
        self._encode, self._decode = encode, decode
        self._forms: dict[str, Form] = {}
        self._older: dict[str, Form] = {}
        self._size = 0
        self._lists = Lists()

    def encoded(self, message: BaseMessage) -> ormsgpack.Ext:
        """What stands for a message in msgpack."""
        form = self._form(message)
        return self._encode(message) if form is None else form.stored

    def packed(self, messages: list[Any]) -> bytes | None:
        """The msgpack bytes of a list of messages; None where it holds anything else."""
        forms = self._all_known(messages) or self._all(messages)
        if forms is None:
            return None
        content = b"".join([_header(len(forms)), *[form.packed for form in forms]])
        self._lists.keep(messages[0].id, content, forms)
        return content

    def unpacked(self, content: bytes) -> list[BaseMessage] | None:
        """The list of messages that was packed as these bytes, where it is known."""
        forms = self._lists.get(content)
        if forms is None:
            return None
        with _uncollected():
            return [form.message() for form in forms]

    def learn(self, message: BaseMessage, code: int, content: bytes) -> None:
        """Remember a message that was decoded from these bytes."""
        if message.id and _is_plain(message):
            stored = ormsgpack.Ext(code, content)
            self._keep(message.id, Form(message, stored, ormsgpack.packb(stored), message))

    def learn_list(self, messages: Any) -> None:
        """Remember a list that was decoded just now."""
        if type(messages) is list:
            self.packed(cast("list[Any]", messages))

    def _all_known(self, messages: list[Any]) -> list[Form] | None:
        """The forms of messages that are all known, and as they were."""
        try:
            forms = [self._forms[message.id] for message in messages]
        except (KeyError, AttributeError, TypeError):
            return None
        same = (
            [message.__dict__ for message in messages] == [form.values for form in forms]
            and [type(message) for message in messages] == [form.kind for form in forms]
            and not any(message.__pydantic_extra__ for message in messages)
        )
        return forms if same else None

    def _all(self, messages: list[Any]) -> list[Form] | None:
        forms: list[Form] = []
        for message in messages:
            form = self._form(message) if isinstance(message, BaseMessage) else None
            if form is None:
                return None
            forms.append(form)
        return forms

    def _form(self, message: BaseMessage) -> Form | None:
        name = message.id
        if not name:
            return None
        form = self._forms.get(name)
        if form is None and (form := self._older.get(name)) is not None:
            self._forms[name] = form
        if form is not None and form.fits(message):
            return form
        if not _is_plain(message):
            return None
        form = self._new_form(message)
        self._keep(name, form)
        return form

    def _keep(self, name: str, form: Form) -> None:
        self._forms[name] = form
        self._size += len(form.packed)
        if self._size > ROOM:
            self._older, self._forms, self._size = self._forms, {}, 0

    def _new_form(self, message: BaseMessage) -> Form:
        stored = self._encode(message)
        packed = ormsgpack.packb(stored)
        try:
            again: Any = self._decode(packed)
        except Exception:  # the message's own code refuses it; whoever decodes it in earnest is told
            again = None
        if type(again) is not type(message) or not _is_plain(again) or again.__dict__ != message.__dict__:
            return Form(message, stored, packed, None)
        return Form(message, stored, packed, again)


class Lists:
    """The last list of each conversation, by the id of its first message, up to a number of bytes."""

    def __init__(self) -> None:
        self._lists: dict[str, tuple[bytes, list[Form]]] = {}
        self._first: dict[tuple[int, bytes], str] = {}
        self._size = 0

    def get(self, content: bytes) -> list[Form] | None:
        """The forms of the messages that were packed as these bytes."""
        known, forms = self._lists.get(self._first.get(_mark(content), ""), (b"", None))
        return forms if known == content else None

    def keep(self, first: str, content: bytes, forms: list[Form]) -> None:
        """Remember a list in place of its conversation's last."""
        self._drop(first)
        if len(forms) < 2 or not all(form.exact for form in forms):
            return
        self._lists[first] = content, forms
        self._first[_mark(content)] = first
        self._size += len(content)
        while self._size > ROOM:
            self._drop(next(iter(self._lists)))

    def _drop(self, first: str) -> None:
        content, _ = self._lists.pop(first, (b"", None))
        self._size -= len(content)
        self._first.pop(_mark(content), None)


@contextmanager
def _uncollected() -> Generator[None]:
    """Keep the garbage collector from what is made inside, which holds no cycles.

    A long conversation would fill its youngest generation dozens of times, and so move all its messages to the oldest:
    that is searched as a whole then, every few turns (10 of 30 ms of a turn with 1,200 messages, 3 with this).
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _mark(content: bytes) -> tuple[int, bytes]:
    """Tells lists apart at little cost; the whole is compared then."""
    return len(content), content[-64:]


def _header(length: int) -> bytes:
    """How msgpack begins an array."""
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2) if length < 65536 else b"\xdd" + length.to_bytes(4)


def _is_plain(message: BaseMessage) -> bool:
    """Whether a message is all in its fields, and these are made of what JSON knows."""
    if message.__pydantic_private__ or message.__pydantic_extra__ != {}:
        return False
    return all(map(_is_json, message.__dict__.values()))


def _is_json(value: Any) -> bool:
    kind = cast("Any", type(value))
    if kind in _ATOMS:
        return True
    if kind is list:
        return all(map(_is_json, value))
    return kind is dict and all(type(key) is str and _is_json(part) for key, part in value.items())


def _copied(value: Any) -> Any:
    kind = cast("Any", type(value))
    if kind is dict:
        return {key: _copied(part) for key, part in value.items()} if value else {}
    if kind is list:
        return [_copied(part) for part in value] if value else []
    return value
