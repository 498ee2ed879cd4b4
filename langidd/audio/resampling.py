"""Any sound to 16 kHz mono float32 within ±1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from langidd.audio.base import SourceCounts

    Samples = npt.NDArray[np.float32]

_LOWEST_RATE: Final = 1_000
_HIGHEST_RATE: Final = 1_000_000


def to_float(samples: npt.NDArray[np.generic]) -> Samples:
    """PCM of any width as float32, full scale ±1; floats stay what they are."""
    match samples.dtype.kind:
        case "f":
            return samples.astype(np.float32, copy=False)
        case "u":
            half = 1 << (8 * samples.dtype.itemsize - 1)
            return (samples.astype(np.float32) - half) / np.float32(half)
        case _:
            scale = np.float32(1 / (1 << (8 * samples.dtype.itemsize - 1)))
            return samples.astype(np.float32) * scale


def mean_of(frames: npt.NDArray[np.generic]) -> Samples:
    """Interleaved PCM `(n, channels)` as mono `(n,)`."""
    sound = to_float(frames)
    if sound.shape[1] == 1:
        return sound[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):  # a driver's junk becomes silence later
        mean: Samples = sound.mean(axis=1, dtype=np.float32)
    return mean


def mix_weights(channels: Sequence[str]) -> Samples:
    """How much of each channel goes into mono; the weights sum to one.

    In surround sound the voice sits in the front centre (`FC`) and none in the
    low-frequency channel (`LFE`), so a plain mean of eight would bury it.
    """
    if "FC" not in channels or len(channels) == 1:
        return np.full(len(channels), 1 / len(channels), dtype=np.float32)
    weights = np.array(
        [1.0 if name == "FC" else 0.0 if name.startswith("LFE") else 0.25 for name in channels],
        dtype=np.float32,
    )
    normalised: Samples = weights / weights.sum()
    return normalised


class Resampler:
    """Mono sound of one rate to 16 kHz, with the filter's state kept between pieces.

    The n-th sample out stands for the time n / 16000 s after the first one in: the
    filter's delay is made up for, and what it still holds comes out of `flush`.
    """

    def __init__(self, rate: int, counts: SourceCounts) -> None:
        if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
            raise ValueError(f"a sample rate of {rate} Hz")
        self.rate = rate
        self._counts = counts
        self._pushed = 0
        self._given = 0
        self._stream: soxr.ResampleStream | None = None
        if rate != SAMPLE_RATE:
            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    def push(self, samples: Samples) -> Samples:
        """Resample `(n,)` mono samples; gives `(m,)`, which may be empty."""
        clean = self._clean(samples)
        if self._stream is None:
            return clean
        self._pushed += len(clean)
        resampled = self._within_one(self._stream.resample_chunk(clean))
        self._given += len(resampled)
        return resampled

    @property
    def held_s(self) -> float:
        """Seconds of sound that the filter holds back until more comes."""
        return self._pushed / self.rate - self._given / SAMPLE_RATE

    def flush(self) -> Samples:
        """What the filter still holds; nothing may be pushed afterwards."""
        if self._stream is None:
            return np.empty(0, dtype=np.float32)
        return self._within_one(self._stream.resample_chunk(np.empty(0, np.float32), last=True))

    def _clean(self, samples: Samples) -> Samples:
        # Before the filter: a single NaN would otherwise spread over all it touches.
        finite = np.isfinite(samples)
        if not finite.all():
            self._counts.non_finite += int(samples.size - np.count_nonzero(finite))
            samples = np.where(finite, samples, np.float32(0))
        beyond = int(np.count_nonzero(np.abs(samples) > 1))
        if beyond:
            self._counts.clipped += beyond
            samples = np.clip(samples, -1, 1)
        return samples

    @staticmethod
    def _within_one(samples: Samples) -> Samples:
        # The filter overshoots at full-scale edges; that is no fault of the source.
        return np.clip(samples, -1, 1, out=samples)


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
