"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0


class BackOff:
    """Twice as long each time, from 1 s to 60 s, and up to half of it less by chance.

    By chance, so that all the clients of a broker that returns do not come at once.
    """

    def __init__(self) -> None:
        self._ceiling_s = FIRST_S

    def next_s(self) -> float:
        """Return the seconds to wait now."""
        ceiling = self._ceiling_s
        self._ceiling_s = min(2 * ceiling, LONGEST_S)
        return spread(ceiling)

    def reset(self) -> None:
        """Begin anew: the last attempt was a success."""
        self._ceiling_s = FIRST_S


def spread(seconds: float) -> float:
    """Return between half of `seconds` and all of them, by chance."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - guards no secret
