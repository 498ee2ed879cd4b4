"""FFmpeg's packets to 16 kHz mono, with what was lost between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
import av.error
import numpy as np

from langidd.audio.resampling import Resampler, to_float

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from langidd.audio.base import SourceCounts

    Samples = npt.NDArray[np.float32]

_HOLE_S: Final = 0.05
"""A step of the presentation times that is a hole and no rounding."""

_LONGEST_HOLE_S: Final = 3600.0
"""A longer one is a clock that was set anew, not lost sound."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Decoded sound: `(n,) float32`, 16 kHz mono.

    `gap` says that sound is missing before it, `lost_s` how much (0 if unknown).
    """

    samples: Samples
    gap: bool = False
    lost_s: float = 0.0


class Decoder:
    """Decodes one audio stream; damaged packets are counted and leave a gap."""

    def __init__(self, stream: av.AudioStream, counts: SourceCounts) -> None:
        self._stream = stream
        self._counts = counts
        self._resampler: Resampler | None = None
        self._to_double: av.AudioResampler | None = None
        self._expected_s: float | None = None
        self._damaged = False
        self.decoded = 0

    def decode(self, packet: av.Packet[av.AudioStream] | None) -> Iterator[Piece]:
        """Decode a packet, or with None what the decoder and the filter still hold."""
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.error.EOFError:
            frames = []
        except av.error.FFmpegError:
            self._counts.damaged += 1
            self._damaged = True
            return
        for frame in frames:
            yield from self._frame(frame)
        if packet is None:
            yield from self._flush()

    def _frame(self, frame: av.AudioFrame) -> Iterator[Piece]:
        if frame.samples == 0:
            return
        if frame.sample_rate <= 0:
            self._counts.damaged += 1
            return
        gap, lost_s = self._hole(frame)
        planes = self._channels(frame)
        form = frame.sample_rate, len(planes)
        resampler = self._resampler
        if gap or resampler is None or (resampler.rate, resampler.channels) != form:
            yield from self._flush()
            try:
                resampler = self._resampler = Resampler(*form)
            except ValueError:
                self._counts.damaged += 1
                return
        samples = resampler.push(planes)
        self.decoded += len(samples)
        # The filter may hold everything back at first; the gap must not be lost with it.
        if len(samples) or gap:
            yield Piece(samples, gap, lost_s)

    def _flush(self) -> Iterator[Piece]:
        if self._resampler is not None:
            samples = self._resampler.flush()
            self._resampler = None
            if len(samples):
                self.decoded += len(samples)
                yield Piece(samples)

    def _hole(self, frame: av.AudioFrame) -> tuple[bool, float]:
        damaged, self._damaged = self._damaged, False
        duration_s = frame.samples / frame.sample_rate
        expected_s = self._expected_s
        if frame.pts is None or frame.time_base is None:
            if expected_s is not None:
                self._expected_s = expected_s + duration_s
            return damaged, 0.0
        at_s = float(frame.pts * frame.time_base)
        self._expected_s = at_s + duration_s
        if expected_s is None:
            return damaged, 0.0
        step_s = at_s - expected_s
        if abs(step_s) <= _HOLE_S:
            return damaged, 0.0
        if 0 < step_s < _LONGEST_HOLE_S:
            return True, step_s
        self._counts.resyncs += 1
        return True, 0.0

    def _channels(self, frame: av.AudioFrame) -> Samples:
        """The frame's sound, `(channels, n)`."""
        channels = frame.layout.nb_channels
        try:
            planes = frame.to_ndarray()
        except ValueError:  # 64-bit integers, which numpy gets by way of FFmpeg
            if self._to_double is None:
                self._to_double = av.AudioResampler(format="dblp")
            planes = np.concatenate(
                [part.to_ndarray() for part in self._to_double.resample(frame)], axis=1
            )
        if not frame.format.is_planar and len(planes) == 1:
            planes = planes.reshape(-1, channels).T
        return to_float(planes, self._counts)
