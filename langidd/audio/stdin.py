"""Raw 16-bit PCM on standard input."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.audio.base import CHUNK_S, SourceCounts
from langidd.audio.reader import Reader
from langidd.audio.resampling import Chunker, Resampler, to_float
from langidd.errors import SourceError
from langidd.types import SAMPLE_RATE, Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from langidd.audio.thread_queue import Mailbox

_AHEAD: Final = 20
_MOST_BYTES: Final = 1 << 16
_SAMPLE_BYTES: Final = 2


class StdinSource:
    """Signed 16-bit little-endian PCM, interleaved, of a stated rate and channels.

    What writes into the pipe waits for us, so nothing is lost. The first sample is
    taken to be captured when it arrives (or at `started_at`); the rest follow from
    their number.
    """

    live: Final = False

    def __init__(
        self,
        name: str,
        *,
        rate: int = SAMPLE_RATE,
        channels: int = 1,
        started_at: float | None = None,
        descriptor: int | None = None,
    ) -> None:
        self.name = name
        self.counts = SourceCounts()
        self._rate = rate
        self._channels = channels
        self._started_at = started_at
        self._descriptor = descriptor
        self._reader = Reader(name, self.counts)

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Read until the writer closes the pipe.

        Raises:
            SourceError: standard input is a terminal, or closed, or empty.

        """
        return self._reader.chunks(self._read, capacity=_AHEAD, drops=False)

    def _read(self, mailbox: Mailbox[Chunk]) -> None:
        descriptor = self._open()
        resampler = Resampler(self._rate, self._channels)
        chunker = Chunker(round(CHUNK_S * SAMPLE_RATE))
        frame_bytes = _SAMPLE_BYTES * self._channels
        started_at = self._started_at
        left_over = b""
        sent = 0

        def put(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bool:
            nonlocal sent
            at = (started_at or 0.0) + sent / SAMPLE_RATE
            sent += len(samples)
            return mailbox.put(Chunk(samples, at))

        while data := self._more(descriptor):
            if started_at is None:
                started_at = time.time()
            data = left_over + data
            whole = len(data) // frame_bytes * frame_bytes
            left_over = data[whole:]
            frames = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, self._channels)
            sound = resampler.push(to_float(frames.T, self.counts))
            if not all(put(samples) for samples in chunker.push(sound)):
                return
        if started_at is None:
            raise SourceError("standard input: it ended before any sound came", permanent=True)
        if left_over:
            self.counts.damaged += 1
        whole_chunks = chunker.push(resampler.flush())
        rest = chunker.flush()
        for samples in [*whole_chunks, rest]:
            if len(samples) and not put(samples):
                return

    def _open(self) -> int:
        descriptor = self._descriptor
        if descriptor is None:
            if sys.stdin is None or sys.stdin.closed:
                raise SourceError("standard input is closed", permanent=True)
            descriptor = sys.stdin.fileno()
        if os.isatty(descriptor):
            raise SourceError(
                "standard input is a terminal; give it sound: "
                "ffmpeg -i … -f s16le -ac 1 -ar 16000 - | langidd listen -",
                permanent=True,
            )
        return descriptor

    @staticmethod
    def _more(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, _MOST_BYTES)
        except OSError as error:
            raise SourceError(
                f"standard input cannot be read: {error.strerror}", permanent=True
            ) from None
