"""What stands between a proposal and an act: the policy, and what must not leave."""

from .destinations import Reach, destinations_in
from .finding import Finder, Finding
from .guards import Action, Check, Guard, Guards, Memory, Passed, Point, Subject, Trip
from .injection import Injection, Jailbreak, Sign
from .personal import PersonalData
from .policy import Frozen, Judgement, Mode, Policy, Rule, Verdict
from .redacting import PLACEHOLDER, Redacted, RedactedStream, Redactor, masked, restore
from .secrets import Secrets

__all__ = [
    "PLACEHOLDER",
    "Action",
    "Check",
    "Finder",
    "Finding",
    "Frozen",
    "Guard",
    "Guards",
    "Injection",
    "Jailbreak",
    "Judgement",
    "Memory",
    "Mode",
    "Passed",
    "PersonalData",
    "Point",
    "Policy",
    "Reach",
    "Redacted",
    "RedactedStream",
    "Redactor",
    "Rule",
    "Secrets",
    "Sign",
    "Subject",
    "Trip",
    "Verdict",
    "destinations_in",
    "masked",
    "restore",
]
