"""Whether the windows that come are really scored.

Pure: the loop's time comes in with each outcome, so that a test needs no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FAILED_IN_A_ROW: Final = 3
"""So many failures, of any source, with no scored window between them: the model fails. A
single damaged window does not count against it."""

STUCK_S: Final = 30.0
"""Windows come and none has been scored for this long: not ready. A slow machine takes
seconds for a batch."""

RECENT_S: Final = 60.0
"""The period over which dropped windows are weighed, and in which a source is logged once."""

DROPPED_SHARE: Final = 0.1
"""More dropped windows than this part of the recent ones: overloaded."""


@dataclass(slots=True)
class _Counts:
    since: float = 0.0
    scored: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Reported:
    """What a source's log line of the last minute left out."""

    at: float
    count: int = 0


@dataclass(slots=True)
class ScoringMonitor:
    """Follows the outcome of every window: scored, failed in the model, or dropped.

    `scored_windows`, `failed_windows` and `dropped_windows` count since the start.
    """

    scored_windows: int = 0
    failed_windows: int = 0
    dropped_windows: int = 0
    failed_in_a_row: int = 0
    _scored_at: float | None = None
    _unscored_in_a_row: int = 0
    _first_unscored_at: float = 0.0
    _last_unscored_at: float = 0.0
    _earlier: _Counts = field(default_factory=_Counts)
    _now: _Counts = field(default_factory=_Counts)

    def scored(self, now: float) -> None:
        """Note a window that the model scored."""
        self.scored_windows += 1
        self._scored_at = now
        self.failed_in_a_row = self._unscored_in_a_row = 0
        self._counts(now).scored += 1

    def failed(self, now: float) -> None:
        """Note a window on which the model failed."""
        self.failed_windows += 1
        self.failed_in_a_row += 1
        self._unscored(now)

    def dropped(self, now: float) -> None:
        """Note a window that was dropped because the model is too slow."""
        self.dropped_windows += 1
        self._counts(now).dropped += 1
        self._unscored(now)

    def stuck_s(self, oldest_wait_s: float, now: float) -> float:
        """Return for how long windows have come of which none was scored; 0: they are scored.

        Args:
            oldest_wait_s: how long the oldest window, in the queue or in the model, has
                waited. A model that hangs gives no outcome, but lets it grow.
            now: the loop's time.

        """
        hangs_s = oldest_wait_s
        if self._scored_at is not None:
            hangs_s = min(hangs_s, now - self._scored_at)
        if self._unscored_in_a_row < FAILED_IN_A_ROW:
            return hangs_s
        return max(hangs_s, self._last_unscored_at - self._first_unscored_at)

    def trouble(self, oldest_wait_s: float, now: float) -> str:
        """Return in one line why windows are not scored; empty: they are."""
        if self.failed_in_a_row >= FAILED_IN_A_ROW:
            return f"the model failed on each of the last {self.failed_in_a_row} windows"
        if (stuck_s := self.stuck_s(oldest_wait_s, now)) >= STUCK_S:
            return f"the model has scored no window for {stuck_s:.0f} s"
        return ""

    def overload(self, now: float) -> str:
        """Return in one line how many windows were dropped of late; empty: few enough."""
        self._counts(now)
        scored = self._earlier.scored + self._now.scored
        dropped = self._earlier.dropped + self._now.dropped
        if dropped <= DROPPED_SHARE * (scored + dropped):
            return ""
        return (
            f"{dropped} of the last {scored + dropped} windows were dropped: the model is too slow "
            "for so many sources"
        )

    def _unscored(self, now: float) -> None:
        if not self._unscored_in_a_row:
            self._first_unscored_at = now
        self._unscored_in_a_row += 1
        self._last_unscored_at = now

    def _counts(self, now: float) -> _Counts:
        """Return the counts of the current half of the recent period."""
        half_s = RECENT_S / 2
        if now - self._now.since >= half_s:
            recent = now - self._now.since < RECENT_S
            self._earlier = self._now if recent else _Counts()
            self._now = _Counts(since=now)
        return self._now


class OncePerMinute:
    """Lets one report a source through each minute, with the count of those that it holds back."""

    def __init__(self) -> None:
        self._reported: dict[str, _Reported] = {}

    def due(self, source: str, now: float) -> int:
        """Count an occurrence; return how many are to be reported now, or 0."""
        entry = self._reported.get(source)
        if entry is None or now - entry.at >= RECENT_S:
            count = 1 if entry is None else entry.count + 1
            self._reported[source] = _Reported(now)
            return count
        entry.count += 1
        return 0

    def forget(self, source: str) -> None:
        """Drop what is kept of a source."""
        self._reported.pop(source, None)
