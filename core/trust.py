"""Where a value came from, and whether it may be believed.

Text that enters from outside (retrieval, tools, files, the web) is untrusted, and what a model
writes after reading it stays untrusted. Labels decide nothing here: the policy reads them.
"""

from __future__ import annotations

from typing import Literal

Trust = Literal["trusted", "untrusted"]

Origin = Literal["user", "developer", "model", "retrieval", "tool", "file", "web", "mcp"]

UNTRUSTED_ORIGINS: frozenset[Origin] = frozenset({"retrieval", "tool", "file", "web", "mcp"})


def trust_of(origins: frozenset[Origin]) -> Trust:
    """`untrusted` as soon as one origin lies outside the application."""
    return "untrusted" if origins & UNTRUSTED_ORIGINS else "trusted"
