"""The build-time checks: one set for `graph.check()`, `compile()` and `collegium check`."""

from .run import check

__all__ = ["check"]
