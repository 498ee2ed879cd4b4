"""Augmentation: voice, room, noise, microphone and codec, for every language alike.

A model that meets each language through other microphones, rooms and codecs learns
these instead of the language. So every crop, of whatever language and corpus, goes
through the same random chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr
from scipy.signal import fftconvolve

from langidd.types import SAMPLE_RATE
from langidd_training.augment.codecs import available, through

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]
    Draw = Callable[[int], Sound]

_CODECS: Final = available()


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How likely each step is, and how strong it may be.

    Attributes:
        clean: Only the level is changed.
        speed: Another length of vocal tract, by at most `speed_range`.
        room: A room's reverberation.
        noise: Noise at `snr_db`; of it `babble` are other speakers and `recorded` recordings,
            where there are any, and the rest is made.
        colour: Another microphone.
        band: A narrower band.
        codec: A round trip through a codec. They take time, so they are rare.
        gain_db: The peak, below full scale.

    """

    clean: float = 0.2
    speed: float = 0.5
    speed_range: float = 0.15
    room: float = 0.2
    noise: float = 0.45
    babble: float = 0.25
    recorded: float = 0.4
    snr_db: tuple[float, float] = (2.0, 30.0)
    colour: float = 0.35
    band: float = 0.3
    codec: float = 0.12
    gain_db: tuple[float, float] = (-30.0, 0.0)


def speed_factor(settings: Augmentation, rng: np.random.Generator) -> float:
    """Say how much faster (and higher) the voice is to be; 1.0 for as it was."""
    if rng.random() >= settings.speed:
        return 1.0
    return float(np.exp(rng.uniform(-1, 1) * np.log1p(settings.speed_range)))


def changed_speed(samples: Sound, factor: float) -> Sound:
    """Speak `factor` times as fast and as high."""
    if factor == 1.0:
        return samples
    return np.asarray(soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, "QQ"), np.float32)


def augmented(
    samples: Sound,
    settings: Augmentation,
    rng: np.random.Generator,
    *,
    others: Draw,
    recorded: Draw | None = None,
) -> Sound:
    """Take a crop one random way through the chain.

    Args:
        samples: `(n,) float32`.
        settings: The chances.
        rng: Draws the way.
        others: Gives so many samples of another speaker.
        recorded: Gives so many samples of recorded noise.

    Returns:
        `(n,) float32`.

    """
    gain_db = float(rng.uniform(*settings.gain_db))
    if rng.random() < settings.clean:
        return normalised(samples, gain_db)
    sound = samples
    if rng.random() < settings.room:
        sound = reverberant(sound, rng)
    if rng.random() < settings.noise:
        noise = _noise(len(sound), settings, rng, others, recorded)
        sound = mixed(sound, noise, float(rng.uniform(*settings.snr_db)))
    if rng.random() < settings.colour:
        sound = coloured(sound, rng)
    if rng.random() < settings.band:
        sound = band_limited(sound, rng)
    sound = normalised(sound, gain_db)
    if rng.random() < settings.codec:
        codec = _CODECS[rng.integers(len(_CODECS))]
        rate = int(rng.choice(codec.bit_rates)) if codec.bit_rates else None
        sound = through(codec, sound, rate)
    return sound


def _noise(
    length: int,
    settings: Augmentation,
    rng: np.random.Generator,
    others: Draw,
    recorded: Draw | None,
) -> Sound:
    drawn = rng.random()
    if drawn < settings.babble:
        # Three at least, so that no word stands out.
        voices = [normalised(others(length), float(rng.uniform(-9, 0))) for _ in range(3)]
        return np.sum(voices, axis=0, dtype=np.float32)
    if recorded is not None and drawn < settings.babble + settings.recorded:
        return recorded(length)
    return coloured_noise(length, rng)


def normalised(samples: Sound, peak_db: float) -> Sound:
    """Bring the peak to `peak_db` of full scale."""
    peak = float(np.abs(samples).max())
    return samples if peak == 0 else samples * np.float32(10 ** (peak_db / 20) / peak)


def mixed(samples: Sound, noise: Sound, snr_db: float) -> Sound:
    """Speech and noise, `snr_db` between their mean powers."""
    speech_power = float(np.mean(samples**2)) + 1e-12
    noise_power = float(np.mean(noise**2)) + 1e-12
    gain = np.float32(np.sqrt(speech_power / noise_power / 10 ** (snr_db / 10)))
    return samples + gain * noise


def coloured_noise(length: int, rng: np.random.Generator) -> Sound:
    """Noise whose power falls by 0 to 9 dB an octave, sometimes with hum or swelling."""
    spectrum = rng.standard_normal(length // 2 + 1) + 1j * rng.standard_normal(length // 2 + 1)
    frequency = np.arange(length // 2 + 1) * SAMPLE_RATE / length
    spectrum *= (1 + frequency / 60) ** (-rng.uniform(0, 1.5))
    noise = np.fft.irfft(spectrum, length).astype(np.float32)
    if rng.random() < 0.2:
        hum = rng.choice([50.0, 60.0]) * np.arange(length) / SAMPLE_RATE
        tones = sum(rng.uniform(0, 1) / n * np.sin(2 * np.pi * n * hum) for n in range(1, 9))
        noise += np.float32(noise.std() * 2) * np.asarray(tones, np.float32)
    if rng.random() < 0.3:
        knots = rng.uniform(0.1, 1, max(2, length // 8_000))
        noise *= np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(knots)), knots).astype(
            np.float32
        )
    return noise


def reverberant(samples: Sound, rng: np.random.Generator) -> Sound:
    """A room: a direct sound, a few early echoes, noise that decays by 60 dB in RT60.

    The usual stochastic model of a room's response (Moorer, "About this reverberation
    business", 1979), with RT60 0.1 to 0.9 s and the direct sound −3 to 12 dB above.
    """
    rt60_s = float(np.exp(rng.uniform(np.log(0.1), np.log(0.9))))
    length = int(rt60_s * 0.8 * SAMPLE_RATE)
    time_s = np.arange(length) / SAMPLE_RATE
    tail = rng.standard_normal(length) * np.exp(-6.9 * time_s / rt60_s)
    tail[: int(rng.uniform(0.001, 0.006) * SAMPLE_RATE)] = 0
    for _ in range(int(rng.integers(2, 8))):
        at = int(rng.uniform(0.001, 0.03) * SAMPLE_RATE)
        if at < length:
            tail[at] += rng.choice([-1, 1]) * rng.uniform(2, 8)
    tail /= np.sqrt((tail**2).sum()) + 1e-9
    direct = 10 ** (rng.uniform(-3, 12) / 20)
    wet = fftconvolve(samples, tail.astype(np.float32))[: len(samples)]
    return (np.float32(direct) * samples + wet).astype(np.float32)


def coloured(samples: Sound, rng: np.random.Generator) -> Sound:
    """Another microphone: a smooth random curve of up to ±10 dB over the octaves."""
    centres = np.log2([60, 125, 250, 500, 1_000, 2_000, 4_000, 8_000])
    tilt = rng.uniform(-1.5, 1.5) * (np.arange(8) - 4)
    curve_db = np.clip(rng.normal(0, 3.5, 8) + tilt, -12, 12)
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    gain_db = np.interp(np.log2(np.maximum(frequency, 1)), centres, curve_db)
    spectrum = np.fft.rfft(samples) * 10 ** (gain_db / 20)
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def band_limited(samples: Sound, rng: np.random.Generator) -> Sound:
    """A narrower band: the telephone's 300 to 3,400 Hz, or a random upper and lower edge."""
    if rng.random() < 0.5:
        low_hz, high_hz = rng.uniform(200, 400), rng.uniform(3_100, 3_700)
    else:
        low_hz, high_hz = rng.uniform(20, 250), rng.uniform(2_800, 7_500)
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    order = int(rng.integers(2, 8))
    ratio_low = np.maximum(frequency, 1e-3) / low_hz
    gain = 1 / np.sqrt(1 + ratio_low ** (-2.0 * order))
    gain /= np.sqrt(1 + (frequency / high_hz) ** (2.0 * order + 8))
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples)).astype(np.float32)
