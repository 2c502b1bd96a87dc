"""What stands between a proposal and an act: the policy, and what must not leave."""

from .destinations import Reach, destinations_in
from .finding import Finder, Finding
from .personal import PersonalData
from .policy import Frozen, Judgement, Mode, Policy, Rule, Verdict
from .redacting import PLACEHOLDER, Redacted, RedactedStream, Redactor, restore
from .secrets import Secrets

__all__ = [
    "PLACEHOLDER",
    "Finder",
    "Finding",
    "Frozen",
    "Judgement",
    "Mode",
    "PersonalData",
    "Policy",
    "Reach",
    "Redacted",
    "RedactedStream",
    "Redactor",
    "Rule",
    "Secrets",
    "Verdict",
    "destinations_in",
    "restore",
]
