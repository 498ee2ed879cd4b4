"""Reading a pipe: without blocking for good, and with the time at which its sound was captured."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final

from langidd.audio.decoding import Piece
from langidd.audio.live import LiveChunks
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    from langidd.audio.base import SourceCounts
    from langidd.audio.capture_clock import CaptureClock
    from langidd.types import Chunk

_POLL_MS: Final = 100
"""How often a silent pipe looks whether anybody still reads."""

_RECORDING_S: Final = 5.0
"""A pipe that gave this much more sound than time has passed carries a recording."""


class Pipe:
    """The reading end of a pipe, as a file object that FFmpeg can read too.

    Args:
        descriptor: The open end; the caller closes it.
        closed: Says that nobody wants the sound any more; `read` then returns b"".

    """

    def __init__(self, descriptor: int, closed: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._closed = closed
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._waited_s = 0.0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes as soon as there are any; b"" at the end.

        Raises:
            OSError: the descriptor cannot be read.

        """
        began = time.monotonic()
        ready = self._poll.poll(0)
        if not ready:
            while not self._poll.poll(_POLL_MS):
                if self._closed():
                    return b""
            self._waited_s = max(self._waited_s, time.monotonic() - began)
        return os.read(self._descriptor, size)

    def take_wait_s(self) -> float:
        """Return the longest wait for the writer since the last call; 0 where data lay ready."""
        waited_s, self._waited_s = self._waited_s, 0.0
        return waited_s


class PipeChunks:
    """Cuts a pipe's sound into chunks with capture times.

    Sound that the writer makes now is dated by its arrival, like a microphone's. Sound
    that lay ready in the pipe has no arrival of its own: it follows what came before.
    A recording, which comes faster than time passes, is dated by its number of samples.

    Args:
        pipe: Where the sound comes from.
        counts: Where jumps of the time are counted.
        stall_s: After a silence this long the sound does not follow what came before.
        clock: Dates the sound by its arrival.
        monotonic: The time now, as the clock counts it.

    """

    def __init__(
        self,
        pipe: Pipe,
        counts: SourceCounts,
        stall_s: float,
        *,
        clock: CaptureClock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipe = pipe
        self._live = LiveChunks(counts, clock)
        self._monotonic = monotonic
        self._stall_s = stall_s
        self._started_at: float | None = None
        self._arrived_at = 0.0
        self._read_s = 0.0

    def push(self, samples: npt.NDArray[np.float32], lost_s: float = 0.0) -> Iterator[Chunk]:
        """Add 16 kHz mono sound that was just read; yields the whole chunks.

        Args:
            samples: `(n,) float32`.
            lost_s: How much sound is missing before it, by its stamps.

        """
        now = self._monotonic()
        waited_s = self._pipe.take_wait_s()
        duration_s = len(samples) / SAMPLE_RATE
        self._read_s += duration_s
        if waited_s or self._started_at is None:
            self._arrived_at = now
        else:
            self._arrived_at = min(now, self._arrived_at + duration_s)
        if self._started_at is None:
            self._started_at = now - duration_s
        ahead_s = self._read_s - (now - self._started_at)
        if waited_s >= self._stall_s and ahead_s < 0:
            self._started_at, self._read_s, ahead_s = now - duration_s, duration_s, 0.0
            yield from self._live.lose()
            self._live.count_samples(False)
        yield from self._live.add(Piece(samples, lost_s, self._arrived_at))
        if ahead_s > _RECORDING_S:
            self._live.count_samples(True)

    def flush(self) -> Iterator[Chunk]:
        """Yield the rest, shorter than a chunk."""
        yield from self._live.lose()
