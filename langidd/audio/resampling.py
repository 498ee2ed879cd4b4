"""Any sound to 16 kHz mono float32 within ±1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from langidd.audio.downmix import Downmix
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from langidd.audio.base import SourceCounts

    Samples = npt.NDArray[np.float32]

_LOWEST_RATE: Final = 1_000
_HIGHEST_RATE: Final = 1_000_000


def to_float(samples: npt.NDArray[np.generic], counts: SourceCounts) -> Samples:
    """PCM of any width as float32 within ±1.

    Args:
        samples: integers, whose full scale becomes ±1, or floats, of any shape.
        counts: where samples are counted that were not finite (and become 0) or beyond ±1.

    """
    match samples.dtype.kind:
        case "f":
            with np.errstate(over="ignore"):  # what does not fit becomes infinite
                return _cleaned(samples.astype(np.float32, copy=False), counts)
        case "u":
            half = 1 << (8 * samples.dtype.itemsize - 1)
            return (samples.astype(np.float32) - half) / np.float32(half)
        case _:
            scale = np.float32(1 / (1 << (8 * samples.dtype.itemsize - 1)))
            return samples.astype(np.float32) * scale


def _cleaned(samples: Samples, counts: SourceCounts) -> Samples:
    # Before any filter: a single NaN would otherwise spread over all it touches.
    finite = np.isfinite(samples)
    if not finite.all():
        counts.non_finite += int(samples.size - np.count_nonzero(finite))
        samples = np.where(finite, samples, np.float32(0))
    beyond = int(np.count_nonzero(np.abs(samples) > 1))
    if beyond:
        counts.clipped += beyond
        samples = np.clip(samples, -1, 1)
    return samples


class Resampler:
    """Sound of any rate and number of channels to 16 kHz mono, as a stream.

    The n-th sample out stands for the time n / 16000 s after the first one in: the
    filter's delay is made up for, and what is still held comes out of `flush`.
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        """Take sound of `rate` Hz and `channels` channels.

        Raises:
            ValueError: a rate or a number of channels that no sound has.

        """
        if not _LOWEST_RATE <= rate <= _HIGHEST_RATE or not channels:
            raise ValueError(f"a sample rate of {rate} Hz with {channels} channels")
        self.rate = rate
        self.channels = channels
        self._downmix = Downmix(rate, channels)
        self._restart()

    def push(self, samples: Samples) -> Samples:
        """Mix and resample `(channels, n) float32` within ±1; gives `(m,)`, perhaps empty."""
        self._pushed += samples.shape[1]
        resampled = self._resampled(self._downmix.push(samples), last=False)
        self._given += len(resampled)
        return resampled

    @property
    def held_s(self) -> float:
        """Seconds of sound that are held back until more comes."""
        return self._pushed / self.rate - self._given / SAMPLE_RATE

    def flush(self) -> Samples:
        """Give what is still held; what is pushed afterwards does not follow on it."""
        rest = self._resampled(self._downmix.flush(), last=True)
        self._restart()
        return rest

    def _restart(self) -> None:
        self._pushed = 0
        self._given = 0
        self._filter: soxr.ResampleStream | None = None
        if self.rate != SAMPLE_RATE:
            self._filter = soxr.ResampleStream(
                self.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        if self._filter is None:
            return samples
        resampled = self._filter.resample_chunk(np.ascontiguousarray(samples), last=last)
        # The filter overshoots at full-scale edges; that is no fault of the source.
        return np.clip(resampled, -1, 1, out=resampled)


class Chunker:
    """Cuts samples into pieces of one length, keeping the rest for the next time."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._parts: list[Samples] = []
        self.waiting = 0

    def push(self, samples: Samples) -> list[Samples]:
        """Add samples; gives the whole pieces."""
        if len(samples):
            self._parts.append(samples)
            self.waiting += len(samples)
        if self.waiting < self._length:
            return []
        joined = np.concatenate(self._parts)
        whole = len(joined) // self._length * self._length
        rest = joined[whole:]
        self._parts = [rest.copy()] if len(rest) else []
        self.waiting = len(rest)
        return [joined[at : at + self._length] for at in range(0, whole, self._length)]

    def flush(self) -> Samples:
        """The rest, shorter than a piece; may be empty."""
        rest = np.concatenate(self._parts) if self._parts else np.empty(0, dtype=np.float32)
        self._parts = []
        self.waiting = 0
        return rest
