"""What the model scores at once: the last seconds of a segment, every hop of new speech.

A window never contains the silence, or the gap, that ended a segment, and none is longer
than Whisper's 30 s. Hops are counted in samples of speech, so the windows do not depend on
how the speech was cut into pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE, Pause, Span, Speech, Window

if TYPE_CHECKING:
    import numpy.typing as npt

LONGEST_S: Final = 30.0
"""Whisper's context."""


class Windower:
    """Cuts one source's segments into windows."""

    def __init__(
        self, source: str, *, hop_s: float = 1.0, length_s: float = 4.0, first_s: float = 1.0
    ) -> None:
        """Start at the beginning of a source's sound.

        Args:
            source: The source's name.
            hop_s: New speech between windows.
            length_s: The most speech in a window.
            first_s: Speech after which a segment has its first window.

        Raises:
            ValueError: A number is not above 0, or `length_s` is over 30 s.

        """
        if not 0 < length_s <= LONGEST_S:
            raise ValueError(f"window length {length_s} s: above 0 and at most {LONGEST_S} s")
        if hop_s <= 0 or first_s <= 0:
            raise ValueError(f"hop {hop_s} s and first window {first_s} s: both above 0")
        self._source = source
        self._hop = round(hop_s * SAMPLE_RATE)
        self._first = round(first_s * SAMPLE_RATE)
        self._length = round(length_s * SAMPLE_RATE)
        self._buffer = np.empty(2 * self._length, np.float32)
        self._number = 0
        self._reset()

    def _reset(self) -> None:
        self._used = 0
        self._new = 0
        self._is_first = True

    def push(self, item: Speech | Pause) -> list[Window | Pause]:
        """Take new speech or a pause; returns the windows that became due, pauses as they are."""
        if isinstance(item, Pause):
            return [item]
        if item.is_first:
            self._reset()
        made: list[Window | Pause] = []
        taken = 0
        while True:
            due = (self._first if self._is_first else self._hop) - self._new
            piece = item.samples[taken : taken + due]
            taken += len(piece)
            self._keep(piece)
            if len(piece) < due:
                break
            is_last = item.is_last and taken == len(item.samples)
            made.append(self._cut(item, item.start + taken / SAMPLE_RATE, is_last=is_last))
        if item.is_last:
            if self._new:
                made.append(self._cut(item, item.start + taken / SAMPLE_RATE, is_last=True))
            self._reset()
        return made

    def _keep(self, piece: npt.NDArray[np.float32]) -> None:
        """Append speech to the buffer, of which the last `length` samples count."""
        self._new += len(piece)
        piece = piece[-self._length :]
        if self._used + len(piece) > len(self._buffer):
            kept = self._buffer[max(0, self._used - self._length) : self._used]
            self._buffer[: len(kept)] = kept.copy()
            self._used = len(kept)
        self._buffer[self._used : self._used + len(piece)] = piece
        self._used += len(piece)

    def _cut(self, item: Speech, end: float, *, is_last: bool) -> Window:
        samples = self._buffer[max(0, self._used - self._length) : self._used].copy()
        span = Span(
            source=self._source,
            number=self._number,
            start=end - len(samples) / SAMPLE_RATE,
            end=end,
            new_s=min(self._new, len(samples)) / SAMPLE_RATE,
            segment=item.segment,
            is_first=self._is_first,
            is_last=is_last,
        )
        self._number += 1
        self._new = 0
        self._is_first = False
        return Window(span, samples)
