"""How much may come out of an archive."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...core.errors import InvalidTool

ALWAYS_BYTES = 1_000_000
"""So much may come out whatever the ratio is: a small text may well be all blanks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an archive may hold; one that holds more is refused whole."""

    packed_bytes: int = 100_000_000
    """Length of the archive."""
    unpacked_bytes: int = 100_000_000
    """Bytes of all members together, counted as they come out and not as the archive says."""
    ratio: int = 100
    """Unpacked to packed bytes, once more than 1 MB came out."""
    members: int = 1000
    """Files and folders, those included that are named only as parts of a path."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (isinstance(value, int) and value > 0):
                raise InvalidTool("archives", f"{one.name} is {value!r}; give a whole number above 0.")

    def of(self, packed_bytes: int) -> int:
        """How many bytes may come out of an archive of this length."""
        return min(self.unpacked_bytes, max(self.ratio * packed_bytes, ALWAYS_BYTES))
