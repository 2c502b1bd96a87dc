"""What differs between what was recorded and what is asked, word by word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, cast

_AROUND = 4
"""Words shown on each side of a change."""
_CHANGES = 3
"""Changes shown at most."""
_LONG = 160
"""Characters shown of one change."""
_MOST = 4000
"""Words of a text that are compared; the rest is cut away where both agree."""


def difference(recorded: Any, asked: Any) -> str:
    """The first places at which two JSON values differ: `messages[0].content: a [-quick-]{+slow+} fox`."""
    found = list(_differing("", recorded, asked))
    shown = [f"{path}: {change}" if path else change for path, change in found[:_CHANGES]]
    more = f" … and {len(found) - _CHANGES} more" if len(found) > _CHANGES else ""
    return "; ".join(shown) + more


def likeness(recorded: Any, asked: Any) -> float:
    """How much two requests have in common, from 0 to 1."""
    one, other = _text(recorded)[:_MOST], _text(asked)[:_MOST]
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).quick_ratio()


def words_changed(recorded: str, asked: str) -> str:
    """The changed words with some around them: removed ones as `[-…-]`, new ones as `{+…+}`."""
    old, new = re.findall(r"\s+|\w+|[^\w\s]", recorded), re.findall(r"\s+|\w+|[^\w\s]", asked)
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, start - 2 * _AROUND)
    old, new = old[start : start + _MOST], new[start : start + _MOST]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    groups = list(matcher.get_grouped_opcodes(2 * _AROUND))
    shown = [_group(group, old, new) for group in groups[:_CHANGES]]
    return " … ".join(shown) + (" …" if len(groups) > _CHANGES else "")


def _group(group: list[tuple[str, int, int, int, int]], old: list[str], new: list[str]) -> str:
    parts: list[str] = []
    for kind, a, b, c, d in group:
        if kind == "equal":
            parts.append("".join(old[a:b]))
            continue
        removed, added = "".join(old[a:b]), "".join(new[c:d])
        parts.append(f"[-{_short(removed)}-]" if removed else "")
        parts.append(f"{{+{_short(added)}+}}" if added else "")
    return " ".join("".join(parts).split())


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]}…{text[-_LONG // 2 :]}"


def _differing(path: str, recorded: Any, asked: Any) -> Iterator[tuple[str, str]]:
    if recorded == asked:
        return
    if isinstance(recorded, dict) and isinstance(asked, dict):
        old, new = cast("dict[str, Any]", recorded), cast("dict[str, Any]", asked)
        for key in dict.fromkeys([*old, *new]):
            yield from _differing(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif isinstance(recorded, list) and isinstance(asked, list):
        yield from _items(path, cast("list[Any]", recorded), cast("list[Any]", asked))
    else:
        yield path, words_changed(_text(recorded), _text(asked))


def _items(path: str, recorded: list[Any], asked: list[Any]) -> Iterator[tuple[str, str]]:
    for index, (old, new) in enumerate(zip(recorded, asked, strict=False)):
        yield from _differing(f"{path}[{index}]", old, new)
    both = min(len(recorded), len(asked))
    for index, gone in enumerate(recorded[both:], both):
        yield f"{path}[{index}]", f"[-{_short(_text(gone))}-]"
    for index, come in enumerate(asked[both:], both):
        yield f"{path}[{index}]", f"{{+{_short(_text(come))}+}}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
