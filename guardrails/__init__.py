"""What stands between a proposal and an act: the policy, and what must not leave."""

from .destinations import Reach, destinations_in
from .finding import Finder, Finding
from .injection import Injection, Jailbreak, Sign
from .personal import PersonalData
from .policy import Frozen, Judgement, Mode, Policy, Rule, Verdict
from .redacting import PLACEHOLDER, Redacted, RedactedStream, Redactor, restore
from .secrets import Secrets

__all__ = [
    "PLACEHOLDER",
    "Finder",
    "Finding",
    "Frozen",
    "Injection",
    "Jailbreak",
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
    "Sign",
    "Verdict",
    "destinations_in",
    "restore",
]
