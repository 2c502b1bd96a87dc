"""What stands between a proposal and an act: the policy."""

from .policy import Policy, Verdict

__all__ = ["Policy", "Verdict"]
