"""Whisper's log-mel spectrogram in NumPy.

The numbers are those of OpenAI's Whisper (`whisper/audio.py`, `log_mel_spectrogram`) and of
transformers' `WhisperFeatureExtractor`.

A frame's log powers depend on its own 25 ms only, so frames of a stream can be computed once
and shared by the windows that overlap there (`log_powers`). What depends on the whole window
is applied to it last (`limit_range`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

FFT_SAMPLES: Final = SAMPLE_RATE * 25 // 1000
"""25 ms: the length of one spectrum."""

HOP_SAMPLES: Final = SAMPLE_RATE * 10 // 1000
"""10 ms: from one frame to the next."""

FRAMES_PER_POSITION: Final = 2
"""The encoder's second convolution has a stride of two."""

SAMPLES_PER_POSITION: Final = HOP_SAMPLES * FRAMES_PER_POSITION
"""20 ms: what one encoder position stands for."""

EDGE_SAMPLES: Final = FFT_SAMPLES // 2
"""How far a frame's spectrum reaches to each side of its centre."""

DYNAMIC_RANGE: Final = 8.0
"""Powers of ten below a window's loudest value at which its spectrum is cut off."""

POWER_FLOOR: Final = 1e-10
"""Powers below this count as this."""

_BLOCK_FRAMES: Final = 64
_BAND_MELS: Final = 10
"""Spectra and mel bins that are computed together. What one block needs is small enough for
malloc to keep, and one band's product small enough for OpenBLAS to stay in this thread (262,144
multiplications): on busy cores its threads cost ten times what they save."""

_LINEAR_HZ: Final = 1000.0
_MELS_PER_HZ: Final = 3 / 200
_MELS_PER_OCTAVE: Final = 27 / math.log2(6.4)


def log_mel(samples: npt.NDArray[np.float32], mels: int) -> npt.NDArray[np.float32]:
    """Compute the log-mel spectrogram of windows of one length.

    Args:
        samples: `(batch, n) float32` at 16 kHz; n is a multiple of 160 and above 200.
        mels: The number of mel bins: 80, or 128 for large-v3.

    Returns:
        `(batch, mels, n / 160) float32`, each window relative to its own maximum.

    """
    return limit_range(log_powers(samples, mels))


def log_powers(samples: npt.NDArray[np.float32], mels: int) -> npt.NDArray[np.float32]:
    """Compute the decimal logarithm of the mel powers of windows of one length.

    Frames are centred on the samples 0, 160, 320, … and the sound is mirrored at both ends.

    Args:
        samples: `(batch, n) float32` at 16 kHz; n is a multiple of 160 and above 200.
        mels: The number of mel bins.

    Returns:
        `(batch, mels, n / 160) float32`.

    """
    mirrored = np.pad(samples, ((0, 0), (EDGE_SAMPLES, EDGE_SAMPLES)), mode="reflect")
    # Whisper leaves out the frame that is centred on the end.
    return inner_log_powers(mirrored[:, : mirrored.shape[1] - HOP_SAMPLES], mels)


def inner_log_powers(samples: npt.NDArray[np.float32], mels: int) -> npt.NDArray[np.float32]:
    """Compute the log powers of the frames that lie wholly inside a piece of sound.

    Args:
        samples: `(batch, n) float32` at 16 kHz, n at least 400.
        mels: The number of mel bins.

    Returns:
        `(batch, mels, 1 + (n - 400) // 160) float32`; frame i covers the samples from
        `160 * i` to `160 * i + 400`.

    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SAMPLES, axis=1)
    frames = frames[:, ::HOP_SAMPLES]
    batch, count, _ = frames.shape
    powers = np.empty((batch, mels, count), np.float32)
    hann, bands = _hann(), _bands(mels)
    for window, result in zip(frames, powers, strict=True):
        for first in range(0, count, _BLOCK_FRAMES):
            block = slice(first, first + _BLOCK_FRAMES)
            # Real and imaginary parts lie side by side, and so do the filters' weights.
            parts = np.fft.rfft(window[block] * hann).view(np.float32)
            np.square(parts, out=parts)
            for band in bands:
                np.matmul(band.filters, parts.T[band.parts], out=result[band.mels, block])
    np.maximum(powers, np.float32(POWER_FLOOR), out=powers)
    return np.log10(powers, out=powers)


def limit_range(log_powers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cut windows off below their own maximum and scale them as Whisper was trained.

    Args:
        log_powers: `(batch, mels, frames) float32`.

    Returns:
        An array of the same shape; values lie within a span of 2.

    """
    loudest = log_powers.max(axis=(1, 2), keepdims=True)
    limited: npt.NDArray[np.float32] = np.maximum(log_powers, loudest - np.float32(DYNAMIC_RANGE))
    limited += np.float32(4.0)
    limited *= np.float32(0.25)
    return limited


@cache
def mel_filters(mels: int) -> npt.NDArray[np.float32]:
    """The triangular filters between 0 and 8 kHz, each of the same area.

    Slaney's mel scale (Auditory Toolbox, Interval Research report 1998-010, `mfcc`) has 3/200 mel
    a hertz up to 1 kHz, and above it 27 mels for each factor of 6.4.

    Returns:
        `(201, mels) float32`.

    """
    top = _mel(SAMPLE_RATE / 2)
    corners = _hertz(np.linspace(0.0, top, mels + 2))
    frequencies = np.fft.rfftfreq(FFT_SAMPLES, 1 / SAMPLE_RATE)[:, None]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (high - low)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Band:
    """Neighbouring filters: their bins, and the parts of the spectrum that they weigh."""

    mels: slice
    parts: slice
    filters: npt.NDArray[np.float32]


@cache
def _bands(mels: int) -> tuple[_Band, ...]:
    bands = []
    for first in range(0, mels, _BAND_MELS):
        filters = mel_filters(mels)[:, first : first + _BAND_MELS]
        used = np.flatnonzero(filters.any(axis=1))
        low, high = int(used[0]), int(used[-1]) + 1
        of_parts = np.ascontiguousarray(np.repeat(filters[low:high], 2, axis=0).T)
        bands.append(_Band(slice(first, first + _BAND_MELS), slice(2 * low, 2 * high), of_parts))
    return tuple(bands)


@cache
def _hann() -> npt.NDArray[np.float32]:
    phase = 2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def _mel(hertz: float) -> float:
    if hertz <= _LINEAR_HZ:
        return hertz * _MELS_PER_HZ
    return _LINEAR_HZ * _MELS_PER_HZ + math.log2(hertz / _LINEAR_HZ) * _MELS_PER_OCTAVE


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = mel - _LINEAR_HZ * _MELS_PER_HZ
    return np.where(above <= 0, mel / _MELS_PER_HZ, _LINEAR_HZ * 2 ** (above / _MELS_PER_OCTAVE))
