"""What happens to speech on its way: the conditions that an evaluation tries.

Each takes `(n,) float32` at 16 kHz and gives as many samples back; what is drawn at
random is drawn from the sound itself, so that two models get the same noise.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr
from scipy import signal

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]
    Condition = Callable[[Sound], Sound]

TELEPHONE_HZ: Final = (300.0, 3400.0)
"""The pass band of a telephone line (ITU-T G.712)."""
SNR_DB: Final = 10.0
_LEAST_POWER: Final = 1e-7
_LEAST_S: Final = 1.0
"""Recordings of noise that are softer or shorter are not used."""


def conditions(noises: Sequence[Sound], rooms: Sequence[Sound]) -> dict[str, Condition]:
    """Return the conditions that there is material for, by name.

    Args:
        noises: Recordings of real noise.
        rooms: Impulse responses of real rooms.

    Raises:
        ConfigError: All the noise is silence, or shorter than a second.

    """
    usable = [
        noise
        for noise in noises
        if len(noise) >= _LEAST_S * SAMPLE_RATE and np.mean(noise**2) > _LEAST_POWER
    ]
    if noises and not usable:
        raise ConfigError("--noise: no recording in it is of a second or more and not silent")
    found: dict[str, Condition] = {"telephone": telephone}
    if usable:
        found[f"noise-{SNR_DB:.0f}dB"] = partial(noisy, noises=usable)
    if rooms:
        found["room"] = partial(reverberant, rooms=rooms)
    return found


def telephone(samples: Sound) -> Sound:
    """8 kHz and 300-3400 Hz, as a telephone line passes it; no codec."""
    narrow = soxr.resample(samples, SAMPLE_RATE, 8_000)
    band = signal.butter(4, TELEPHONE_HZ, "bandpass", fs=8_000, output="sos")
    back = soxr.resample(signal.sosfilt(band, narrow), 8_000, SAMPLE_RATE)[: len(samples)]
    return np.pad(np.asarray(back, np.float32), (0, len(samples) - len(back)))


def noisy(samples: Sound, noises: Sequence[Sound], snr_db: float = SNR_DB) -> Sound:
    """Add one of the recordings, `snr_db` below the speech (mean power against mean power)."""
    draw = _draw(samples)
    noise = noises[draw.integers(len(noises))]
    noise = np.resize(np.roll(noise, int(draw.integers(len(noise)))), len(samples))
    power = float(np.mean(samples**2)) / max(float(np.mean(noise**2)), 1e-9)
    mixed = samples + noise * np.float32(np.sqrt(power / 10 ** (snr_db / 10)))
    return np.clip(mixed, -1, 1).astype(np.float32)


def reverberant(samples: Sound, rooms: Sequence[Sound]) -> Sound:
    """Convolve with one of the impulse responses, aligned at its peak, at the same level."""
    room = rooms[_draw(samples).integers(len(rooms))]
    wet = signal.fftconvolve(samples, room)[int(np.argmax(np.abs(room))) :][: len(samples)]
    wet *= np.abs(samples).max() / max(float(np.abs(wet).max()), 1e-9)
    return np.pad(wet, (0, len(samples) - len(wet))).astype(np.float32)


def _draw(samples: Sound) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(samples.tobytes()))
