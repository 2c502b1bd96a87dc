"""What stands between a proposal and an act: the policy, and what must not leave."""

from .checks import INJECTION_RUBRIC, JAILBREAK_RUBRIC, Judged, NotJson, Repeated, TooLong, Ungrounded
from .destinations import Reach, destinations_in
from .finding import Finder, Finding
from .guards import Action, Check, Guard, Guards, Memory, Passed, Point, Subject, Trip
from .injection import Injection, Jailbreak, Sign
from .personal import PersonalData
from .policy import Frozen, Judgement, Mode, Policy, Rule, Verdict
from .redacting import PLACEHOLDER, Redacted, RedactedStream, Redactor, masked, restore
from .secrets import Secrets

__all__ = [
    "INJECTION_RUBRIC",
    "JAILBREAK_RUBRIC",
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
    "Judged",
    "Judgement",
    "Memory",
    "Mode",
    "NotJson",
    "Passed",
    "PersonalData",
    "Point",
    "Policy",
    "Reach",
    "Redacted",
    "RedactedStream",
    "Redactor",
    "Repeated",
    "Rule",
    "Secrets",
    "Sign",
    "Subject",
    "TooLong",
    "Trip",
    "Ungrounded",
    "Verdict",
    "destinations_in",
    "masked",
    "restore",
]
