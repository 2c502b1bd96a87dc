"""Limits on what one run may use."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import BudgetExceeded
from ..core.messages import Usage

DEFAULT_STEPS = 200
"""Super-steps after which a run without a budget counts as endless."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one run; None is no limit. A limit is checked before the next call that counts against it."""

    tokens: int | None = None
    """Input and output tokens together."""
    model_calls: int | None = None
    tool_calls: int | None = None
    steps: int = DEFAULT_STEPS
    """Super-steps of the graph."""

    def check_model_call(self, used: Usage) -> None:
        """Refuse the next model call once a limit is reached.

        Raises:
            BudgetExceeded: Tokens or model calls are spent.
        """
        spent = used.input_tokens + used.output_tokens
        if self.tokens is not None and spent >= self.tokens:
            raise BudgetExceeded("tokens", self.tokens, spent)
        if self.model_calls is not None and used.model_calls >= self.model_calls:
            raise BudgetExceeded("model calls", self.model_calls, used.model_calls)

    def check_tool_call(self, used: int) -> None:
        """Refuse the next tool call once the limit is reached.

        Raises:
            BudgetExceeded: The tool calls are spent.
        """
        if self.tool_calls is not None and used >= self.tool_calls:
            raise BudgetExceeded("tool calls", self.tool_calls, used)
