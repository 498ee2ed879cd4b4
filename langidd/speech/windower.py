"""What the classifier hears: the last seconds of a segment, every hop of new speech.

A window never straddles the silence, or the gap, that ended a segment, and none is
longer than Whisper's 30 s. Hops are counted in samples of speech, so the windows do
not depend on how the speech was cut into pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE, Pause, Span, Speech, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_S: Final = 30.0


class Windows:
    """One source's windows.

    hop_s: new speech between windows. length_s: how far a window reaches back, or
    several such lengths, each of which gives a window every hop. first_s: the speech
    after which a segment has its first window.
    """

    def __init__(
        self,
        source: str,
        *,
        hop_s: float = 1.0,
        length_s: float | Sequence[float] = 4.0,
        first_s: float = 1.0,
    ) -> None:
        lengths = (length_s,) if isinstance(length_s, int | float) else tuple(length_s)
        if not lengths or min(lengths) <= 0 or max(lengths) > LONGEST_S:
            raise ValueError(f"window lengths {lengths} s: above 0 and at most {LONGEST_S} s")
        if hop_s <= 0 or first_s <= 0:
            raise ValueError(f"hop {hop_s} s and first window {first_s} s: both above 0")
        self._source = source
        self._hop = round(hop_s * SAMPLE_RATE)
        self._first = round(first_s * SAMPLE_RATE)
        self._lengths = sorted(round(seconds * SAMPLE_RATE) for seconds in set(lengths))
        self._number = 0
        self.reset()

    def reset(self) -> None:
        """Forget the current segment; windows go on being counted."""
        self._heard = np.empty(0, np.float32)
        self._new = 0
        self._opening = True

    def push(self, item: Speech | Pause) -> list[Window | Pause]:
        """Take new speech or a pause; gives the windows that became due, pauses as they are."""
        if isinstance(item, Pause):
            return [item]
        if item.is_first:
            self.reset()
        made: list[Window | Pause] = []
        taken = 0
        while True:
            due = (self._first if self._opening else self._hop) - self._new
            piece = item.samples[taken : taken + due]
            taken += len(piece)
            self._hear(piece)
            if len(piece) < due:
                break
            last = item.is_last and taken == len(item.samples)
            made += self._cut(item, item.start + taken / SAMPLE_RATE, is_last=last)
        if item.is_last:
            if self._new:
                made += self._cut(item, item.start + taken / SAMPLE_RATE, is_last=True)
            self.reset()
        return made

    def _hear(self, piece: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        self._heard = np.concatenate([self._heard, piece])[-self._lengths[-1] :]
        self._new += len(piece)

    def _cut(self, item: Speech, end: float, *, is_last: bool) -> list[Window]:
        made = []
        for length in self._lengths:
            samples = self._heard[-length:]
            span = Span(
                source=self._source,
                number=self._number,
                start=end - len(samples) / SAMPLE_RATE,
                end=end,
                new_s=min(self._new, len(samples)) / SAMPLE_RATE,
                segment=item.segment,
                is_first=self._opening,
                is_last=is_last,
            )
            made.append(Window(span, samples.copy()))
            self._number += 1
            if length >= len(self._heard):
                break
        self._new = 0
        self._opening = False
        return made
