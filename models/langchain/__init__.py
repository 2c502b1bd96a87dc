"""LangChain's chat models as models of ours, and ours as LangChain's."""

from .doors import as_langchain, from_langchain

__all__ = ["as_langchain", "from_langchain"]
