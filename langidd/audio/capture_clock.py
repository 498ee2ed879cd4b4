"""When sound was captured: the number of samples, corrected by when they arrived."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

_JUMP_S: Final = 0.5
"""A lasting delay that is no drift: sound was lost, and stamps start again."""

_AHEAD_S: Final = 10.0
"""Sound this far ahead of the clock is no burst of what a camera had kept."""

_WATCHED_S: Final = 20.0
"""Sound over which the least delay is taken: a network's hiccups are shorter."""

_SLEW: Final = 0.002
"""How fast stamps are corrected for drift, s/s: ten times the worst quartz."""

_BURST_SLEW: Final = 0.05
"""The same where stamps are ahead of the clock by more than drift can do in a while."""

_BURST_S: Final = 0.1

_SETTLE_S: Final = 5.0
"""Time constant of the correction."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The date of a piece of sound.

    Attributes:
        captured_at: When its first sample was captured, in seconds since the epoch.
        gap: Whether the stamps jumped before it.
        clock_step_s: How far the system's clock was set since the stamp before, if it was.

    """

    captured_at: float
    gap: bool
    clock_step_s: float = 0.0


class CaptureClock:
    """Stamps consecutive pieces of live sound with seconds since the epoch.

    Arrival is late by what the network and the scheduler add, and never early, so
    the least delay over the last seconds is the true difference between the source's
    clock and ours. It is taken out slowly: drift, or the burst of old sound with which
    some cameras begin. Where it is too large for either, at once, and that is a gap.

    Arrivals are monotonic; the epoch is added from the system's clock. If that one is
    set by more than half a second, the stamps follow with a gap, so that no segment
    of sound holds two clocks.

    Args:
        monotonic: The clock of arrivals, in seconds.
        wall: The system's clock, in seconds since the epoch.

    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset_s = wall() - monotonic()
        self._next: float | None = None
        self._delays: deque[tuple[int, float]] = deque()
        self._samples = 0
        self._unknown_loss = False

    def stamp(self, samples: int, arrived_at: float, *, lost_s: float = 0.0) -> Stamp:
        """Date a piece of sound.

        Args:
            samples: Its length, 16 kHz.
            arrived_at: The monotonic time when its last sample arrived, as far as is known.
            lost_s: The sound that is known to be missing before it.

        """
        duration_s = samples / SAMPLE_RATE
        clock_step_s = self._follow_wall()
        gap = clock_step_s != 0.0
        if self._next is None:
            self._next = arrived_at - duration_s
        elif self._unknown_loss:
            self._next = max(self._next, arrived_at - duration_s)
        else:
            self._next += lost_s
        self._unknown_loss = False
        delay_s = arrived_at - (self._next + duration_s)
        self._samples += samples
        if delay_s < -_AHEAD_S:
            self._restart(delay_s)
            gap = True
        else:
            least_s, full = self._least(delay_s)
            if least_s > _JUMP_S and full:
                self._restart(least_s)
                gap = True
            elif least_s < 0 or full:
                limit_s = (_BURST_SLEW if least_s < -_BURST_S else _SLEW) * duration_s
                wanted_s = least_s * duration_s / _SETTLE_S
                self._shift(min(max(wanted_s, -limit_s), limit_s))
        captured_at = self._next + self._offset_s
        self._next += duration_s
        return Stamp(captured_at, gap, clock_step_s)

    def lose(self) -> None:
        """Say that an unknown amount of sound is missing: the next arrival tells."""
        self._unknown_loss = True
        self._delays.clear()

    def _least(self, delay_s: float) -> tuple[float, bool]:
        """The least delay watched, and whether it was watched for long enough."""
        # A monotonic queue: the head is the least, later entries are ever larger.
        while self._delays and self._delays[-1][1] >= delay_s:
            self._delays.pop()
        self._delays.append((self._samples, delay_s))
        horizon = self._samples - int(_WATCHED_S * SAMPLE_RATE)
        full = horizon >= 0
        while self._delays[0][0] < horizon:
            self._delays.popleft()
        return self._delays[0][1], full

    def _shift(self, by_s: float) -> None:
        if self._next is not None:
            self._next += by_s
        self._delays = deque((at, delay_s - by_s) for at, delay_s in self._delays)

    def _restart(self, by_s: float) -> None:
        if self._next is not None:
            self._next += by_s
        self._delays.clear()

    def _follow_wall(self) -> float:
        """Follow the system's clock; returns how far it was set, 0 where it only drifted."""
        step_s = self._wall() - self._monotonic() - self._offset_s
        if abs(step_s) > _JUMP_S:
            self._offset_s += step_s
            return step_s
        self._offset_s += step_s * 0.01
        return 0.0
