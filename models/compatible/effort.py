"""What one call of a model may still do, and what it has done so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import BackendError
from ..base import Completion


@dataclass(slots=True)
class Effort:
    """The deadline of one call, on the loop's clock, and the requests sent for it."""

    at: float
    limit_s: float
    """Seconds from the begin of the call to its deadline."""
    requests: int = 0

    @classmethod
    def of(cls, limit_s: float) -> Effort:
        """The effort of a call that begins now."""
        return cls(asyncio.get_running_loop().time() + limit_s, limit_s)

    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.at - asyncio.get_running_loop().time()

    def counted(self, completion: Completion[Any]) -> Completion[Any]:
        """The completion, with the number of requests that it took."""
        return completion if self.requests == 1 else replace(completion, requests=self.requests)

    def blamed(self, error: BackendError) -> BackendError:
        """The error, with the number of requests that were sent in vain."""
        error.requests = self.requests
        return error
