"""Models: one Protocol, the providers' table, structured output, probing, and a small embedded model."""

from .base import (
    Capabilities,
    Completion,
    FinishReason,
    Level,
    Model,
    Params,
    ReasoningDelta,
    Rung,
    StreamEvent,
    TextDelta,
    ToolChoice,
)
from .catalogue import Weights, catalogue, installed
from .profiles import PROFILES, Profile
from .pulling import pull, pull_sync
from .resolving import close_shared, model, shared_model
from .servers import Server, list_servers
from .specs import Spec, parse_spec

__all__ = [
    "PROFILES",
    "Capabilities",
    "Completion",
    "FinishReason",
    "Level",
    "Model",
    "Params",
    "Profile",
    "ReasoningDelta",
    "Rung",
    "Server",
    "Spec",
    "StreamEvent",
    "TextDelta",
    "ToolChoice",
    "Weights",
    "catalogue",
    "close_shared",
    "installed",
    "list_servers",
    "model",
    "parse_spec",
    "pull",
    "pull_sync",
    "shared_model",
]
