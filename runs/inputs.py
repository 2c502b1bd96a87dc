"""What a run starts from: its input, and what the thread's last run left in the fields it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langgraph.channels import BinaryOperatorAggregate
from langgraph.channels.base import BaseChannel
from langgraph.types import Overwrite

from ..core.trust import LABELS
from .target import Target


def first_input(target: Target, given: dict[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """The input with kept fields filled in from `last`, the values that the thread's last run ended with.

    A kept field that the input also sets is merged by its reducer, the old value first.
    """
    started = dict(given)
    for name in target.kept_fields() & last.keys():
        started[name] = _carried(target, name, last[name], given)
    if LABELS in last:
        started[LABELS] = {name: origins for name, origins in last[LABELS].items() if name in target.kept_fields()}
    return started


def _carried(target: Target, name: str, old: Any, given: Mapping[str, Any]) -> Any:
    compiled: Any = target.compiled
    channel = cast("BaseChannel[Any, Any, Any]", compiled.channels[name])
    if not isinstance(channel, BinaryOperatorAggregate):
        return given.get(name, old)
    if name not in given:
        return Overwrite(old)
    merged = cast("BaseChannel[Any, Any, Any]", channel).copy().from_checkpoint(old)
    merged.update([given[name]])
    return Overwrite(merged.get())
