"""What users test their graphs with: scripted and function models, automatic approvers, recordings.

Loaded by pytest at every start, through the plugin beside it, so each name is imported when it is asked for.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .approvers import Approver as Approver
    from .approvers import ScriptedApprover as ScriptedApprover
    from .approvers import approve_all as approve_all
    from .cassettes import Cassette as Cassette
    from .scripted import FunctionModel as FunctionModel
    from .scripted import ModelCall as ModelCall
    from .scripted import Reply as Reply
    from .scripted import ScriptedModel as ScriptedModel

_HOMES = {
    "Approver": "approvers",
    "Cassette": "cassettes",
    "FunctionModel": "scripted",
    "ModelCall": "scripted",
    "Reply": "scripted",
    "ScriptedApprover": "approvers",
    "ScriptedModel": "scripted",
    "approve_all": "approvers",
}

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


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
