"""Drawings of a graph: `text` for the terminal, `mermaid`, `svg`."""

from .doors import mermaid, svg, text

__all__ = ["mermaid", "svg", "text"]
