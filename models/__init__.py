"""Models: one Protocol, the providers' table, structured output, probing, and a small embedded model."""

from .base import (
    Behaviour,
    Capabilities,
    Completion,
    FinishReason,
    Level,
    Model,
    Params,
    PartialOutput,
    ReasoningDelta,
    ReasoningEffort,
    Rung,
    StreamEvent,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolChoice,
)
from .catalogue import Weights, catalogue, installed
from .compatible.limits import Limits
from .counting import estimate_prompt, estimate_tokens
from .embeddings import ServerEmbedder, embedder
from .fallback import Fallback
from .history import History
from .langchain import as_langchain, from_langchain
from .profiles import PROFILES, Profile
from .pulling import pull, pull_sync
from .reranking import ServerReranker, reranker
from .resolving import close_shared, limit_server, model, shared_model
from .servers import Server, list_servers
from .specs import Spec, parse_spec

__all__ = [
    "PROFILES",
    "Behaviour",
    "Capabilities",
    "Completion",
    "Fallback",
    "FinishReason",
    "History",
    "Level",
    "Limits",
    "Model",
    "Params",
    "PartialOutput",
    "Profile",
    "ReasoningDelta",
    "ReasoningEffort",
    "Rung",
    "Server",
    "ServerEmbedder",
    "ServerReranker",
    "Spec",
    "StreamEvent",
    "TextDelta",
    "TokenLogprob",
    "ToolCallDelta",
    "ToolChoice",
    "Weights",
    "as_langchain",
    "catalogue",
    "close_shared",
    "embedder",
    "estimate_prompt",
    "estimate_tokens",
    "from_langchain",
    "installed",
    "limit_server",
    "list_servers",
    "model",
    "parse_spec",
    "pull",
    "pull_sync",
    "reranker",
    "shared_model",
]
