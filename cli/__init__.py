"""The `collegium` command: parsing and presentation only."""

from .app import main

__all__ = ["main"]
