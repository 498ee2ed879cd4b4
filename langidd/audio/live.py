"""Live sound as it comes, cut into chunks and stamped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from langidd.audio.base import CHUNK_S, SourceCounts
from langidd.audio.capture_clock import CaptureClock, Stamp
from langidd.audio.resampling import Chunker
from langidd.audio.timestamps import SMALL_HOLE_S
from langidd.types import SAMPLE_RATE, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from langidd.audio.decoding import Piece


class LiveChunks:
    """Makes chunks of one connection's sound.

    Args:
        counts: Where jumps of the time are counted.
        clock: Dates the sound by its arrival.

    """

    def __init__(self, counts: SourceCounts, clock: CaptureClock | None = None) -> None:
        self._counts = counts
        self._clock = clock or CaptureClock()
        self._sample_count: _SampleCount | None = None
        self._chunker = Chunker(round(CHUNK_S * SAMPLE_RATE))
        self._gap = False
        self._lost_s = 0.0
        self._arrived_at = 0.0
        self._ends_at = 0.0

    def add(self, piece: Piece) -> Iterator[Chunk]:
        """Add decoded sound and the hole before it; yields the whole chunks.

        A small hole is filled with silence; any other is a gap.
        """
        if piece.lost_s >= SMALL_HOLE_S:
            yield from self.lose(piece.lost_s)
        elif piece.lost_s:
            self._counts.holes += 1
            silence = np.zeros(round(piece.lost_s * SAMPLE_RATE), dtype=np.float32)
            behind_s = len(piece.samples) / SAMPLE_RATE
            yield from self.push(silence, piece.arrived_at - behind_s)
        yield from self.push(piece.samples, piece.arrived_at)

    def push(
        self, samples: npt.NDArray[np.float32], arrived_at: float | None = None
    ) -> Iterator[Chunk]:
        """Add 16 kHz sound; yields the whole chunks.

        Args:
            samples: `(n,) float32`, 16 kHz mono.
            arrived_at: `time.monotonic()` when its last sample was there; now if not given.

        """
        self._arrived_at = time.monotonic() if arrived_at is None else arrived_at
        pieces = self._chunker.push(samples)
        behind = self._chunker.waiting + sum(map(len, pieces))
        for piece in pieces:
            behind -= len(piece)
            yield self._chunk(piece, self._arrived_at - behind / SAMPLE_RATE)

    def lose(self, lost_s: float = 0.0) -> Iterator[Chunk]:
        """Say that sound is missing here, how much if known; yields what came before."""
        rest = self._chunker.flush()
        if len(rest):
            yield self._chunk(rest, self._arrived_at)
        self._gap = True
        self._lost_s += lost_s
        if lost_s == 0:
            self._clock.lose()

    def count_samples(self, alone: bool) -> None:  # noqa: FBT001 - it is a switch
        """Date what follows by the number of samples alone, or by its arrival again."""
        if not alone:
            self._sample_count = None
        elif self._sample_count is None:
            self._sample_count = _SampleCount(self._ends_at)

    def _chunk(self, samples: npt.NDArray[np.float32], arrived_at: float) -> Chunk:
        clock = self._sample_count or self._clock
        stamp = clock.stamp(len(samples), arrived_at, lost_s=self._lost_s)
        if stamp.gap:
            self._counts.resyncs += 1
        gap = self._gap or stamp.gap
        self._gap, self._lost_s = False, 0.0
        chunk = Chunk(samples, stamp.captured_at, gap=gap, clock_step_s=stamp.clock_step_s)
        self._ends_at = chunk.ends_at
        return chunk


class _SampleCount:
    """The clock of a recording that comes through a pipe."""

    def __init__(self, next_at: float) -> None:
        self._next_at = next_at

    def stamp(self, samples: int, arrived_at: float, *, lost_s: float = 0.0) -> Stamp:  # noqa: ARG002 - CaptureClock's form
        captured_at = self._next_at + lost_s
        self._next_at = captured_at + samples / SAMPLE_RATE
        return Stamp(captured_at, gap=False)
