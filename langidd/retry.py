"""How long to wait before the next attempt: exponential back-off with jitter."""

from __future__ import annotations

import random as _random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits between attempts, in seconds.

    Attributes:
        first_s: The longest that the first wait may be.
        factor: By how much the limit grows with each failure.
        longest_s: Where it stops growing.
        jitter: The share of each wait that is left to chance, 0 to 1. Clients that
            failed together then do not return together.

    """

    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 60.0
    jitter: float = 0.5


class Backoff:
    """The state of one series of attempts.

    Args:
        policy: The limits of the waits.
        random: Returns a number from 0 up to 1.

    """

    def __init__(
        self, policy: RetryPolicy | None = None, random: Callable[[], float] = _random.random
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._random = random
        self._limit_s = self._policy.first_s

    def next_s(self) -> float:
        """Return the seconds to wait now; the next wait will be longer."""
        policy = self._policy
        limit_s = min(self._limit_s, policy.longest_s)
        self._limit_s = min(limit_s * policy.factor, policy.longest_s)
        return self._spread(limit_s)

    def longest_s(self) -> float:
        """Return the longest wait, for errors that another attempt will hardly mend."""
        self._limit_s = self._policy.longest_s
        return self._spread(self._policy.longest_s)

    def reset(self) -> None:
        """Start again from the first wait: the last attempt was a success."""
        self._limit_s = self._policy.first_s

    def _spread(self, seconds: float) -> float:
        return seconds * (1 - self._policy.jitter * self._random())
