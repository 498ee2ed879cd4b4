"""Raw 16-bit PCM on standard input."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.audio.base import SourceCounts
from langidd.audio.pipe import Pipe, PipeChunks
from langidd.audio.reader import Reader
from langidd.audio.resampling import Resampler, to_float
from langidd.errors import SourceError
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from langidd.audio.base import Recovery
    from langidd.audio.thread_queue import ThreadQueue
    from langidd.config import SourceSettings
    from langidd.types import Chunk

_QUEUE_CHUNKS: Final = 20
_READ_BYTES: Final = 1 << 16
_SAMPLE_BYTES: Final = 2


class StdinSource:
    """Signed 16-bit little-endian PCM, interleaved, of a stated rate and channels.

    What writes into the pipe waits for us, so nothing is lost.

    Args:
        name: The source's name in the configuration.
        rate: Samples a second and channel.
        channels: Channels, interleaved.
        stall_s: After a silence this long, sound is dated by its arrival again.
        descriptor: What to read instead of standard input.

    """

    live: Final = False
    recovery: Final[Recovery] = "none"

    def __init__(
        self,
        name: str,
        *,
        rate: int = SAMPLE_RATE,
        channels: int = 1,
        stall_s: float = 10.0,
        descriptor: int | None = None,
    ) -> None:
        self.name = name
        self.counts = SourceCounts()
        self._rate = rate
        self._channels = channels
        self._stall_s = stall_s
        self._descriptor = descriptor
        self._reader = Reader(name, self.counts)

    @classmethod
    def from_settings(cls, settings: SourceSettings) -> StdinSource:
        """Return the source that the settings describe."""
        return cls(
            settings.name,
            rate=settings.sample_rate,
            channels=settings.channels,
            stall_s=settings.stall_s,
        )

    def check(self) -> None:
        """Raise SourceError where standard input is closed or a terminal."""
        self._open()

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Read until the writer closes the pipe.

        Raises:
            SourceError: standard input is a terminal, or closed, or empty.

        """
        return self._reader.chunks(self._read, capacity=_QUEUE_CHUNKS, drops=False)

    def _read(self, queue: ThreadQueue[Chunk]) -> None:
        pipe = Pipe(self._open(), lambda: queue.closed)
        chunks = PipeChunks(pipe, self.counts, self._stall_s)
        resampler = Resampler(self._rate, self._channels)
        frame_bytes = _SAMPLE_BYTES * self._channels
        rest = b""
        empty = True
        while data := self._more(pipe):
            empty = False
            data = rest + data
            whole = len(data) // frame_bytes * frame_bytes
            rest = data[whole:]
            frames = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, self._channels)
            sound = resampler.push(to_float(frames.T, self.counts))
            if not all(queue.put(chunk) for chunk in chunks.push(sound)):
                return
        if empty and not queue.closed:
            raise SourceError("standard input: it ended before any sound came", permanent=True)
        if rest:
            self.counts.damaged += 1
        for part in (chunks.push(resampler.flush()), chunks.flush()):
            if not all(queue.put(chunk) for chunk in part):
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
    def _more(pipe: Pipe) -> bytes:
        try:
            return pipe.read(_READ_BYTES)
        except OSError as error:
            raise SourceError(
                f"standard input cannot be read: {error.strerror}", permanent=True
            ) from None
