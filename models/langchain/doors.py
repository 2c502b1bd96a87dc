"""The two doors; langchain-core is loaded when one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import Capabilities, Model
from ..resolving import model as resolve

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel


def from_langchain(chat: BaseChatModel, *, capabilities: Capabilities | None = None) -> Model:
    """A LangChain chat model as a Model: for agents, runs, budgets and recordings.

    Structured output goes through its `with_structured_output`, else a forced tool, else the prompt, and is repaired
    as that of any model. A decoding setting is taken where the chat model has a field for it, else it is refused.

    Args:
        chat: Any chat model; its own retries and time limits hold as they are.
        capabilities: What it can do; by default a capable model that calls tools if it has `bind_tools`.
    """
    from .backend import LangChainModel

    return LangChainModel(chat, capabilities)


def as_langchain(model: Model | str | None = None) -> BaseChatModel:
    """A Model as a LangChain chat model: for `create_agent`, chains and anything else that takes one.

    Tools, structured output, streaming and usage go through; failures are those of our own tree.

    Args:
        model: A Model, or its spec; None takes that of the run it is called in.

    Raises:
        UnknownModel: The spec cannot be read.
    """
    from .chat import CollegiumChat

    return CollegiumChat(llm=resolve(model))
