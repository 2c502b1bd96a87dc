"""What users test their graphs with: scripted and function models, automatic approvers."""

from .approvers import Approver, ScriptedApprover, approve_all
from .cassettes import Cassette
from .scripted import FunctionModel, ModelCall, Reply, ScriptedModel

__all__ = [
    "Approver",
    "Cassette",
    "FunctionModel",
    "ModelCall",
    "Reply",
    "ScriptedApprover",
    "ScriptedModel",
    "approve_all",
]
