"""Labels of a graph's fields: where their values came from, in a hidden channel beside them.

A node's result carries the labels of all that the node has met (`core.trust.Reading`): of the fields that it
declares to read, and of what its model calls, tools and look-ups bring. Labels are merged by set union where a
reducer merges values, and replaced where a value is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.types import Command

from ..core.trust import LABELS, PATH, UNTRUSTED_ORIGINS, Labels, Origin, Reading, current_reading, met
from .channels import NOTHING, reader, write_channel
from .fields import Fields

_UNKNOWN: frozenset[Origin] = frozenset({"tool"})
"""The label of everything in a run that was stored before there were labels."""


class LabelChannel(BinaryOperatorAggregate[Any]):
    """The labels of a state; empty until the entrance of a graph has written its input's.

    A run that was stored by a version without labels never gets any; all of it counts as untrusted.
    """

    __slots__ = ("merged",)

    def __init__(self, merged: frozenset[str]) -> None:
        """Labels of a state; those of `merged` fields grow, those of others are replaced."""
        super().__init__(dict, self._joined)
        self.key = LABELS
        self.merged = merged | {PATH}
        self.value: Any = NOTHING

    def copy(self) -> LabelChannel:
        """The same channel with the same value."""
        return self.from_checkpoint(self.value)

    def from_checkpoint(self, checkpoint: Any) -> LabelChannel:
        """The channel with a stored value."""
        other = LabelChannel(self.merged)
        other.value = checkpoint
        return other

    def _joined(self, old: Labels, new: Labels) -> dict[str, Sequence[Origin]]:
        joined = dict(old)
        for name, origins in new.items():
            joined[name] = sorted({*joined.get(name, ()), *origins}) if name in self.merged else list(origins)
        return joined


def label_channel(fields: Fields) -> LabelChannel:
    """The hidden channel for these fields."""
    return LabelChannel(frozenset(name for name, field in fields.items() if field.reducer is not None))


class Labeller:
    """Works out what one node reads, and labels what it writes.

    Args:
        fields: The state.
        reads: The fields that the node is given; None for all of them.
    """

    def __init__(self, fields: Fields, reads: Iterable[str] | None) -> None:
        self._fields = fields
        self._reads = None if reads is None else tuple(dict.fromkeys(reads))
        self._came = {name: field.came for name, field in fields.items() if field.came}

    def begin(self, config: RunnableConfig | None, *, sent: bool = False, after: bool = False) -> Reading:
        """What the node has met before its first line.

        Args:
            config: Of its task.
            sent: It was sent a value of any making, and counts as having met all there is.
            after: It is a router, which reads what the node before it has written.
        """
        read = reader(config, fresh=after)
        if read is None:
            return Reading()
        labels: Labels | None = read(LABELS)
        if labels is None:
            return Reading(set(_UNKNOWN))
        reads = labels if sent or self._reads is None else self._reads
        found: set[Origin] = set()
        for name in reads:
            if name and name in labels:
                found.update(labels[name])
        return Reading(found, labels, labels.get(PATH, ()))

    def landed(self, result: Any, seen: Reading) -> Any:
        """The update that a node's guard made, with the labels of the fields in it."""
        if type(result) is dict:
            update = cast("dict[str, Any]", result)
            if labels := self._labels(update, seen):
                update[LABELS] = labels
            return update
        if isinstance(result, Command):
            return self._commanded(cast("Command[Any]", result), seen)
        if isinstance(result, list):
            return [self.landed(part, seen) for part in cast("list[Any]", result)]
        return result

    def _commanded(self, command: Command[Any], seen: Reading) -> Command[Any]:
        pairs = cast("list[tuple[str, Any]]", cast(Any, command)._update_as_tuples())
        if command.graph is None:
            labels = self._labels(dict(pairs), seen)
        else:  # for the graph around this one, whose labels are not known here
            labels = dict.fromkeys((name for name, _ in pairs), _ordered(seen.found))
        if command.goto and (led := _ordered(seen.found & UNTRUSTED_ORIGINS - seen.path)):
            labels[PATH] = led
        return dataclasses.replace(command, update=[*pairs, (LABELS, labels)]) if labels else command

    def _labels(self, update: Mapping[str, Any], seen: Reading) -> dict[str, list[Origin]]:
        """Those that are not known yet."""
        fresh: dict[str, list[Origin]] = {}
        every = _ordered(seen.found)
        for name in update:
            now = _ordered(seen.written[name]) if name in seen.written else every
            if name in self._came:
                now = _ordered(set[Origin](now).union(self._came[name]))
            known = seen.labels.get(name, ())
            if known != now and not (self._fields[name].reducer is not None and set(now) <= set(known)):
                fresh[name] = now
        return fresh

    def entered(self, values: Mapping[str, Any], kept: Labels) -> dict[str, list[Origin]]:
        """Labels of a graph's input: the user's at the top, else of what the node around it has met."""
        outer = current_reading.get()
        labels: dict[str, list[Origin]] = {PATH: _ordered(outer.path)} if outer and outer.path else {}
        for name in values:
            came: Iterable[Origin] = ("user",)
            if outer is not None:
                came = outer.found if outer.entering is None else outer.entering.get(name, ())
            labels[name] = _ordered(set[Origin](came).union(kept.get(name, ()), self._came.get(name, ())))
        return labels


def _ordered(origins: Iterable[Origin]) -> list[Origin]:
    return sorted(origins)


def leave(seen: Reading, outer: Reading | None) -> None:
    """Tell the node around this one's graph what was met here, at earlier steps too."""
    if outer is not None:
        outer.found.update(seen.found, *seen.labels.values())


def labelled(compiled: Any) -> list[str] | None:
    """What to ask a compiled graph for, so that the labels of its output come with it; None for all that it gives."""
    output = compiled.output_channels
    return [*output, LABELS] if LABELS in compiled.channels and isinstance(output, list) else None


def met_inside(values: Any) -> Labels | None:
    """The labels in what a graph gave, which the node that ran it has met; None for a graph without labels."""
    if not isinstance(values, dict) or LABELS not in values:
        return None
    labels = cast("Labels", cast("dict[str, Any]", values).pop(LABELS))
    for origins in labels.values():
        met(*origins)
    return labels


def led_by(seen: Reading, config: RunnableConfig | None) -> None:
    """Note that a router has chosen by what it had read."""
    if config is not None and (led := seen.found & UNTRUSTED_ORIGINS - seen.path):
        write_channel(config, LABELS, {PATH: sorted(led)})


def was_sent(config: RunnableConfig | None) -> bool:
    """Whether the task at work was called by a `Send`, which carries a value of any making."""
    metadata = (config or {}).get("metadata") or {}
    return "__pregel_push" in metadata.get("langgraph_triggers", ())
