"""Live sound as it comes, cut into chunks and stamped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from langidd.audio.base import CHUNK_S, SourceCounts
from langidd.audio.capture_clock import CaptureClock
from langidd.audio.resampling import Chunker
from langidd.types import SAMPLE_RATE, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt


class LiveChunks:
    """Makes chunks of one connection's sound."""

    def __init__(self, counts: SourceCounts, clock: CaptureClock | None = None) -> None:
        self._counts = counts
        self._clock = clock or CaptureClock()
        self._chunker = Chunker(round(CHUNK_S * SAMPLE_RATE))
        self._gap = False
        self._lost_s = 0.0
        self._heard_at = 0.0

    def push(
        self, samples: npt.NDArray[np.float32], heard_at: float | None = None
    ) -> Iterator[Chunk]:
        """Add 16 kHz sound whose last sample was heard at `heard_at` (monotonic; now)."""
        self._heard_at = time.monotonic() if heard_at is None else heard_at
        pieces = self._chunker.push(samples)
        behind = self._chunker.waiting + sum(map(len, pieces))
        for piece in pieces:
            behind -= len(piece)
            yield self._chunk(piece, self._heard_at - behind / SAMPLE_RATE)

    def lose(self, lost_s: float = 0.0) -> Iterator[Chunk]:
        """Say that sound is missing here, how much if known; gives what came before."""
        rest = self._chunker.flush()
        if len(rest):
            yield self._chunk(rest, self._heard_at)
        self._gap = True
        self._lost_s += lost_s
        if lost_s == 0:
            self._clock.lose()

    def _chunk(self, samples: npt.NDArray[np.float32], heard_at: float) -> Chunk:
        stamp = self._clock.stamp(len(samples), heard_at, lost_s=self._lost_s)
        if stamp.gap:
            self._counts.resyncs += 1
        gap = self._gap or stamp.gap
        self._gap, self._lost_s = False, 0.0
        return Chunk(samples, stamp.captured_at, gap=gap)
