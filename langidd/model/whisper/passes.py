"""Which windows go through the encoder together, and in which shape.

An engine prepares itself for each shape that it meets, so there are few. Windows are filled up
to the next length, and masked there; batches are filled up to the next size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.model.whisper.log_mel import SAMPLES_PER_POSITION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from langidd.model.whisper.checkpoint import Context

SHORTEST_POSITIONS: Final = 5
"""A window under 100 ms is filled up with silence: the encoder needs something."""

LENGTHS: Final = (25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1250, 1500)
"""Positions of a pass."""

POSITIONS_PER_S: Final = 50


@dataclass(frozen=True, slots=True)
class Pass:
    """Windows that are scored together.

    Attributes:
        members: Their indices.
        size: Rows of the batch: as many as the windows, or more.
        positions: Of the longest that fits.

    """

    members: list[int]
    size: int
    positions: int


class Passes:
    """The shapes in which an engine runs one model."""

    def __init__(
        self,
        context: Context,
        positions: int,
        batches: Sequence[int],
        most_positions: int,
        *,
        least_context_s: float = 0.0,
    ) -> None:
        """Choose the shapes.

        Args:
            context: `padded` has one length only.
            positions: Of the encoder.
            batches: Sizes of batches, from 1 up.
            most_positions: Of all windows of a pass.
            least_context_s: Shorter windows are filled up with silence to it.

        """
        self._context = context
        self._positions = positions
        self._batches = tuple(batches)
        self._most_positions = most_positions
        self._least = max(SHORTEST_POSITIONS, round(least_context_s * POSITIONS_PER_S))
        self._lengths = (
            (positions,)
            if context == "padded"
            else (*(each for each in LENGTHS if each < positions), positions)
        )

    def plan(self, windows: Sequence[npt.NDArray[np.float32]]) -> Iterator[Pass]:
        """Sort windows into passes; each is in one of them."""
        groups: dict[int, list[int]] = {}
        for index, window in enumerate(windows):
            length = _round_up(self._positions_of(window), self._lengths)
            groups.setdefault(length, []).append(index)
        for length, members in groups.items():
            fitting = [each for each in self._batches if each * length <= self._most_positions]
            most = max(fitting, default=1)
            for first in range(0, len(members), most):
                chosen = members[first : first + most]
                yield Pass(chosen, _round_up(len(chosen), self._batches), length)

    def cut(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return a window's last samples that fill whole positions; silence where it is short."""
        samples = self._positions_of(window) * SAMPLES_PER_POSITION
        kept = window[-samples:]
        return np.pad(kept, (0, samples - len(kept))) if len(kept) < samples else kept

    def shapes(
        self, durations_s: Iterable[float], batches: Iterable[int]
    ) -> Iterator[tuple[int, int]]:
        """Yield size and positions of the passes that such windows in such batches need."""
        sizes = {_round_up(batch, self._batches) for batch in batches}
        # In milliseconds: 2.0 s must not become 99 positions.
        lengths = {
            _round_up(
                max(round(seconds * 1000) * POSITIONS_PER_S // 1000, self._least), self._lengths
            )
            for seconds in durations_s
        }
        for positions in sorted(lengths):
            for size in sorted(sizes):
                yield size, positions

    def _positions_of(self, window: npt.NDArray[np.float32]) -> int:
        if self._context == "padded":
            return self._positions
        whole = len(window) // SAMPLES_PER_POSITION
        return min(max(whole, self._least), self._positions)


def _round_up(value: int, steps: Sequence[int]) -> int:
    """The lowest step that is not below the value; the highest where there is none."""
    return next((step for step in steps if step >= value), steps[-1])
