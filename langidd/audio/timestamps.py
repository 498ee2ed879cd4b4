"""What the time stamps of a recording or a camera say about missing sound.

Stamps are judged over time, against the number of samples. Muxers and cameras write
stamps that are coarse, shared by several packets, late by some jitter, scaled, set back
or absent, and the sound is continuous all the same. Sound is missing only where the
stamps rise above all that they said before, by more than they vary anyway, and stay; in
a live stream, where the sound that follows also arrives later by as much.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

SMALL_HOLE_S: Final = 0.3
"""A shorter hole does not end a segment: it is filled with silence, so that times stay right.

That is a few lost packets of 20 to 100 ms, and well below the shortest silence that ends a
segment (0.5 s unless set otherwise).
"""

LOOK_AHEAD_S: Final = 2.0
"""Sound behind a rise in which the stamps must not fall back, where it can be waited for."""

_MOST_AHEAD_S: Final = 10.0
"""Sound that is held back at most, where the stamps stand still."""

_HISTORY_S: Final = 5.0
"""How much the stamps vary is seen in the last one to two times so many seconds."""

_ENOUGH_S: Final = 3.0
_ENOUGH_FRAMES: Final = 12
"""A shorter history says nothing of how much they vary."""

_ENOUGH_AHEAD: Final = 8
"""Fewer stamps behind a rise do not say that it stays."""

_ROUNDING_S: Final = 0.01
"""Stamps in milliseconds, or in ticks of a video, are off by less."""

_MOST_REGULAR_S: Final = 0.05
"""Stamps that vary by less are believed at once where packets are known to be damaged."""

_LONGEST_HOLE_S: Final = 3600.0
"""A longer one is a clock that was set, not lost sound."""

_FALL_S: Final = 0.5
"""Stamps that fall back by more are counted as a jump."""


@dataclass(frozen=True, slots=True)
class _Frame(Generic[T]):
    item: T
    duration_s: float
    stamp_s: float | None
    damaged_s: float
    arrived_s: float


class Timestamps(Generic[T]):
    """Finds the holes between the frames of one stream.

    Args:
        look_ahead_s: Sound that may be held back to see whether a rise stays. A live stream
            cannot wait: 0, and `push` is told when each frame arrived.

    Attributes:
        jumps: How often the stamps jumped without any sound missing.

    """

    def __init__(self, *, look_ahead_s: float = LOOK_AHEAD_S) -> None:
        self.jumps = 0
        self._look_ahead_s = look_ahead_s
        self._sound_s = 0.0
        self._shift_s = 0.0
        self._stamps = _History()
        self._ahead: deque[_Frame[T]] = deque()
        self._scan = _Scan()
        self._arrivals = None if look_ahead_s else _History()

    def push(
        self,
        item: T,
        duration_s: float,
        stamp_s: float | None,
        *,
        damaged_s: float = 0.0,
        arrived_s: float = 0.0,
    ) -> Iterator[tuple[T, float]]:
        """Add a frame; yields the frames that are judged, in their order.

        Args:
            item: What comes out again.
            duration_s: The frame's number of samples by its sample rate.
            stamp_s: Its time stamp in seconds, or None where it has none.
            damaged_s: About how much sound is known to be damaged before it.
            arrived_s: When it arrived, on any steady clock; only a live stream's counts.

        Yields:
            The item, and how many seconds of sound are missing before it.

        """
        self._ahead.append(_Frame(item, duration_s, stamp_s, damaged_s, arrived_s))
        yield from self._judged(last=False)

    def flush(self) -> Iterator[tuple[T, float]]:
        """Judge the frames that are held back."""
        yield from self._judged(last=True)

    def _judged(self, *, last: bool) -> Iterator[tuple[T, float]]:
        while self._ahead:
            lost_s = self._hole(self._ahead[0], last=last)
            if lost_s is None:
                return
            frame = self._ahead.popleft()
            self._scan = _Scan()
            self._sound_s += lost_s + frame.duration_s
            yield frame.item, lost_s

    def _hole(self, frame: _Frame[T], *, last: bool) -> float | None:
        """What is missing before the first frame ahead; None where more must be seen."""
        if self._arrivals is not None:
            self._arrivals.add(frame.arrived_s - self._sound_s, frame.duration_s)
        if frame.stamp_s is None:
            return frame.damaged_s
        off_s = frame.stamp_s - self._sound_s - self._shift_s
        known = self._stamps
        if not known.count:
            known.add(off_s, frame.duration_s)
            return 0.0
        if off_s < known.lowest - _FALL_S:
            self.jumps += 1
        if frame.damaged_s and known.spread < _MOST_REGULAR_S:
            missing_s: float | None = max(0.0, off_s - known.lowest)
        elif off_s - known.highest <= _margin(known.spread):
            missing_s = frame.damaged_s
        else:
            missing_s = self._risen(frame, off_s, last=last)
        if missing_s is None:
            return None
        lost_s = missing_s if missing_s < _LONGEST_HOLE_S else 0.0
        if self._arrivals is not None:
            # No more is missing than the arrival has room for: nothing is dated ahead of now.
            lost_s = min(lost_s, frame.arrived_s - self._sound_s - self._arrivals.lowest)
        if missing_s > 2 * lost_s:
            self.jumps += 1
        self._shift_s += missing_s - lost_s
        known.add(off_s - missing_s, frame.duration_s)
        return lost_s

    def _risen(self, frame: _Frame[T], off_s: float, *, last: bool) -> float | None:
        """How much is missing where the stamps rise; 0 where they do not stay above."""
        known = self._stamps
        if self._arrivals is None:
            stays = self._stays(last=last)
        else:
            room_s = frame.arrived_s - self._sound_s - self._arrivals.lowest
            stays = room_s >= (off_s - known.highest) / 2
        if stays is None:
            return None
        return off_s - known.usual() if stays else frame.damaged_s

    def _stays(self, *, last: bool) -> bool | None:
        """Whether the stamps stay above what they were; None where more must be seen."""
        known, scan = self._stamps, self._scan
        for index in range(scan.frames, len(self._ahead)):
            scan.look(self._ahead[index], self._sound_s + self._shift_s)
            if scan.lowest - known.highest <= _margin(known.spread):
                return False
        if not last and (
            scan.sound_s < self._look_ahead_s
            or scan.moved_s < self._look_ahead_s / 2
            or len(scan.offs) < _ENOUGH_AHEAD
        ):
            return None if scan.sound_s < _MOST_AHEAD_S else False
        spread = known.spread
        if known.sound_s < _ENOUGH_S or known.count < _ENOUGH_FRAMES:
            spread = 2 * max(spread, scan.highest - scan.lowest)
        return scan.lowest - known.highest > _margin(spread)


def _margin(spread: float) -> float:
    """By how much a rise must exceed all that was seen, where that varies by `spread`."""
    return _ROUNDING_S + spread / 4


class _Span:
    """How far stamps or arrivals are from the number of samples, over some sound."""

    def __init__(self) -> None:
        self.offs: list[float] = []
        self.sound_s = 0.0
        self.lowest = float("inf")
        self.highest = float("-inf")

    def add(self, off_s: float, duration_s: float) -> None:
        self.offs.append(off_s)
        self.sound_s += duration_s
        self.lowest = min(self.lowest, off_s)
        self.highest = max(self.highest, off_s)


class _History:
    """The same over the last seconds."""

    def __init__(self) -> None:
        self._older = _Span()
        self._recent = _Span()

    def add(self, off_s: float, duration_s: float) -> None:
        if self._recent.sound_s >= _HISTORY_S:
            self._older, self._recent = self._recent, _Span()
        self._recent.add(off_s, duration_s)

    @property
    def lowest(self) -> float:
        return min(self._recent.lowest, self._older.lowest)

    @property
    def highest(self) -> float:
        return max(self._recent.highest, self._older.highest)

    @property
    def spread(self) -> float:
        return self.highest - self.lowest

    @property
    def sound_s(self) -> float:
        return self._older.sound_s + self._recent.sound_s

    @property
    def count(self) -> int:
        return len(self._older.offs) + len(self._recent.offs)

    def usual(self) -> float:
        """Near the lowest, but not one that is off alone."""
        offs = sorted(self._older.offs + self._recent.offs)
        return offs[len(offs) // 10]


class _Scan(_Span):
    """The same of the frames ahead, as far as they were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0
        self.moved_s = 0.0
        self._first_s: float | None = None

    def look(self, frame: _Frame[T], expected_s: float) -> None:
        self.frames += 1
        if frame.stamp_s is None:
            self.sound_s += frame.duration_s
            return
        if self._first_s is None:
            self._first_s = frame.stamp_s
        self.moved_s = frame.stamp_s - self._first_s
        self.add(frame.stamp_s - expected_s - self.sound_s, frame.duration_s)
