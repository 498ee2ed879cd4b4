"""Sounds that are no speech, made by rule and seed: noise, hum and music."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

NOISES: Final = ("white", "pink", "brown", "hum", "clatter")
"""The kinds of noise."""

_SCALE: Final = (0, 2, 4, 5, 7, 9, 11)
_MELODY_SHARE: Final = 0.8
_CHORDS: Final = ((0, 2, 4), (3, 5, 0), (4, 6, 1), (5, 0, 2))


def noise(kind: str, length_s: float, rng: np.random.Generator) -> Samples:
    """Make noise of one of the kinds, at an RMS of 1."""
    size = max(1, round(length_s * SAMPLE_RATE))
    if kind == "hum":
        sound = _hum(size, rng)
    elif kind == "clatter":
        sound = _clatter(size, rng)
    else:
        sound = _coloured({"white": 0.0, "pink": 0.5, "brown": 1.0}[kind], size, rng)
    return unit(sound)


def music(length_s: float, rng: np.random.Generator) -> Samples:
    """Make a simple piece: chords, a melody and a drum, at an RMS of 1."""
    size = max(1, round(length_s * SAMPLE_RATE))
    sound = np.zeros(size)
    beat = round(60.0 / rng.uniform(70.0, 140.0) * SAMPLE_RATE)
    root = rng.uniform(110.0, 220.0)
    partials = rng.uniform(0.1, 1.0, 6) / np.arange(1, 7)
    for index, at in enumerate(range(0, size, beat)):
        chord = _CHORDS[index // 4 % len(_CHORDS)]
        if index % 4 == 0:
            for degree in chord:
                _add(sound, at, _tone(_pitch(root, degree), 4 * beat, partials), 0.35)
        if rng.random() < _MELODY_SHARE:
            degree = int(rng.choice(chord)) + 7 * int(rng.integers(0, 2))
            _add(sound, at, _tone(2.0 * _pitch(root, degree), beat, partials, rng), 0.5)
        drum = rng.standard_normal(beat // 2) * np.exp(-np.arange(beat // 2) / (0.03 * SAMPLE_RATE))
        _add(sound, at, drum, 0.4 if index % 2 else 0.15)
    return unit(sound)


def unit(sound: npt.NDArray[np.floating]) -> Samples:
    """Bring a sound to an RMS of 1."""
    level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return (sound / max(level, 1e-9)).astype(np.float32)


def _coloured(slope: float, size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.maximum(frequencies, 20.0) ** slope, size)


def _hum(size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    times = np.arange(size) / SAMPLE_RATE
    mains = float(rng.choice([50.0, 60.0]))
    sound = 0.05 * rng.standard_normal(size)
    for order in range(1, 12):
        phase = rng.uniform(0.0, 2.0 * np.pi)
        sound += rng.uniform(0.2, 1.0) / order * np.sin(2.0 * np.pi * mains * order * times + phase)
    return sound


def _clatter(size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Knocks and rings at irregular times over a soft noise floor: a kitchen, a workshop."""
    sound = 0.01 * unit(_coloured(0.5, size, rng)).astype(np.float64)
    for at in np.flatnonzero(rng.random(size) < 3.0 / SAMPLE_RATE):
        length = round(rng.uniform(0.03, 0.4) * SAMPLE_RATE)
        fade = np.exp(-np.arange(length) / (rng.uniform(0.005, 0.08) * SAMPLE_RATE))
        ring = np.sin(2.0 * np.pi * rng.uniform(200.0, 5_000.0) * np.arange(length) / SAMPLE_RATE)
        _add(sound, int(at), (ring + 0.5 * rng.standard_normal(length)) * fade, rng.uniform(0.2, 1))
    return sound


def _pitch(root: float, degree: int) -> float:
    octave, step = divmod(degree, len(_SCALE))
    return float(root * 2.0 ** ((_SCALE[step] + 12 * octave) / 12.0))


def _tone(
    pitch: float,
    size: int,
    partials: npt.NDArray[np.float64],
    rng: np.random.Generator | None = None,
) -> npt.NDArray[np.float64]:
    times = np.arange(size) / SAMPLE_RATE
    bend = 0.0 if rng is None else 0.004 * np.sin(2.0 * np.pi * rng.uniform(4.0, 7.0) * times)
    phase = 2.0 * np.pi * pitch * np.cumsum(np.full(size, 1.0 / SAMPLE_RATE) * (1.0 + bend))
    sound = sum(weight * np.sin(order * phase) for order, weight in enumerate(partials, start=1))
    envelope = np.minimum(1.0, times / 0.02) * np.exp(-times / (0.4 * size / SAMPLE_RATE))
    return np.asarray(sound * envelope, dtype=np.float64)


def _add(
    sound: npt.NDArray[np.float64], at: int, what: npt.NDArray[np.float64], level: float
) -> None:
    fits = min(len(what), len(sound) - at)
    if fits > 0:
        sound[at : at + fits] += level * what[:fits]
