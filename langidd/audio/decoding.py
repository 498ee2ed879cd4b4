"""FFmpeg's packets of one track to 16 kHz mono, with what is missing between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

from langidd.audio.resampling import Resampler, to_float
from langidd.audio.timestamps import LOOK_AHEAD_S, Timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from langidd.audio.base import SourceCounts

    Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Piece:
    """Decoded sound.

    Attributes:
        samples: `(n,) float32`, 16 kHz mono; may be empty.
        lost_s: Seconds of sound that are missing before it.
        arrived_at: `time.monotonic()` when its packet was read; 0 where nobody asks.

    """

    samples: Samples
    lost_s: float = 0.0
    arrived_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sound:
    planes: Samples
    rate: int


class Decoder:
    """Decodes one audio track; damaged packets are counted and leave a hole.

    Args:
        stream: The track.
        counts: Where damage and jumps of the stamps are counted.
        live: Sound is given at once. Otherwise up to some seconds of it are held back
            where the stamps rise, to see whether sound is really missing.

    Attributes:
        decoded: Samples given so far, 16 kHz.
        starts_at_s: The first time stamp; None before there is any.
        ends_at_s: The end of the sound by its stamps, or by its samples where they say more.

    """

    def __init__(self, stream: av.AudioStream, counts: SourceCounts, *, live: bool = False) -> None:
        self.decoded = 0
        self.starts_at_s: float | None = None
        self.ends_at_s = 0.0
        self._stream = stream
        self._counts = counts
        self._resampler: Resampler | None = None
        self._to_double: av.AudioResampler | None = None
        self._stamps: Timestamps[_Sound] = Timestamps(look_ahead_s=0.0 if live else LOOK_AHEAD_S)
        self._jumps = 0
        self._frame_s = 0.0
        self._frames_s = 0.0
        self._damaged_s = 0.0

    def decode(
        self, packet: av.Packet[av.AudioStream] | None, arrived_at: float = 0.0
    ) -> Iterator[Piece]:
        """Decode a packet.

        Args:
            packet: As it was read; None for what the decoder and the filters still hold.
            arrived_at: `time.monotonic()` when it was read; a live stream needs it.

        """
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.error.EOFError:
            frames = []
        except av.error.FFmpegError:
            self._counts.damaged += 1
            self._damaged_s += self._frame_s
            frames = []
        for frame in frames:
            for sound, lost_s in self._frame(frame, arrived_at):
                yield from self._sound(sound, lost_s)
        if packet is None:
            for sound, lost_s in self._stamps.flush():
                yield from self._sound(sound, lost_s)
            yield from self._flush()
        self._counts.resyncs += self._stamps.jumps - self._jumps
        self._jumps = self._stamps.jumps

    def _frame(self, frame: av.AudioFrame, arrived_at: float) -> Iterator[tuple[_Sound, float]]:
        if frame.samples == 0:
            return
        if frame.sample_rate <= 0 or not frame.layout.nb_channels:
            self._counts.damaged += 1
            return
        stamp_s = None
        if frame.pts is not None and frame.time_base is not None:
            stamp_s = float(frame.pts * frame.time_base)
        self._frame_s = frame.samples / frame.sample_rate
        if self.starts_at_s is None and stamp_s is not None:
            self.starts_at_s = stamp_s - self._frames_s
        self._frames_s += self._frame_s
        ends_at_s = self._frames_s + (self.starts_at_s or 0.0)
        if stamp_s is not None:
            ends_at_s = max(ends_at_s, stamp_s + self._frame_s)
        self.ends_at_s = max(self.ends_at_s, ends_at_s)
        damaged_s, self._damaged_s = self._damaged_s, 0.0
        yield from self._stamps.push(
            _Sound(self._planes(frame), frame.sample_rate),
            self._frame_s,
            stamp_s,
            damaged_s=damaged_s,
            arrived_s=arrived_at,
        )

    def _sound(self, sound: _Sound, lost_s: float) -> Iterator[Piece]:
        resampler = self._resampler
        form = sound.rate, len(sound.planes)
        if lost_s and resampler is not None:
            # What follows does not belong to what the filter holds.
            yield from self._given(resampler.flush(), 0.0)
        if resampler is None or (resampler.rate, resampler.channels) != form:
            yield from self._flush()
            try:
                resampler = self._resampler = Resampler(*form)
            except ValueError:
                self._counts.damaged += 1
                return
        yield from self._given(resampler.push(sound.planes), lost_s)

    def _flush(self) -> Iterator[Piece]:
        if self._resampler is not None:
            yield from self._given(self._resampler.flush(), 0.0)

    def _given(self, samples: Samples, lost_s: float) -> Iterator[Piece]:
        self.decoded += len(samples)
        # The filter may hold everything back at first; the hole must not be lost with it.
        if len(samples) or lost_s:
            yield Piece(samples, lost_s)

    def _planes(self, frame: av.AudioFrame) -> Samples:
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
