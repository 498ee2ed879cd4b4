"""How often sound is missing from a stream that otherwise goes on."""

from __future__ import annotations

from collections import deque
from typing import Final

_OVER_S: Final = 60.0
_MANY: Final = 10
_FEW: Final = 3
"""From so many gaps a minute a stream is said to be broken, and below so few to be well again."""


class GapRate:
    """Counts the gaps and holes of the last minute.

    Attributes:
        detail: One line that says how many there were when they became many; "" while few.

    """

    def __init__(self) -> None:
        self.detail = ""
        self._at: deque[float] = deque()
        self._holes: int | None = None

    def add(self, now_s: float, *, gap: bool, holes: int) -> None:
        """Take the next chunk of a stream.

        Args:
            now_s: The time, on any clock that runs steadily.
            gap: Whether sound is missing before the chunk.
            holes: How many holes the source has filled since it began.

        """
        filled = 0 if self._holes is None else holes - self._holes
        self._at.extend([now_s] * (gap + filled))
        self._holes = holes
        while self._at and self._at[0] < now_s - _OVER_S:
            self._at.popleft()
        if len(self._at) >= _MANY and not self.detail:
            self.detail = (
                f"{len(self._at)} gaps in the last minute; the network or the device loses sound"
            )
        elif len(self._at) < _FEW:
            self.detail = ""
