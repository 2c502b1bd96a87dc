"""What stands between a proposal and an act: the policy, and what must not leave."""

from .finding import Finder, Finding
from .personal import PersonalData
from .policy import Policy, Verdict
from .redacting import PLACEHOLDER, Redacted, RedactedStream, Redactor, restore
from .secrets import Secrets

__all__ = [
    "PLACEHOLDER",
    "Finder",
    "Finding",
    "PersonalData",
    "Policy",
    "Redacted",
    "RedactedStream",
    "Redactor",
    "Secrets",
    "Verdict",
    "restore",
]
