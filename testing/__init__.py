"""What users test their graphs with: scripted and function models, automatic approvers."""

from .approvers import Approver, ScriptedApprover, approve_all
from .scripted import FunctionModel, ModelCall, Reply, ScriptedModel

__all__ = [
    "Approver",
    "FunctionModel",
    "ModelCall",
    "Reply",
    "ScriptedApprover",
    "ScriptedModel",
    "approve_all",
]
