"""What happens to speech on its way: the conditions that an evaluation tries.

Each takes `(n,) float32` at 16 kHz and gives as many samples back; what is drawn at
random is drawn from a seed, so that two models hear the same noise.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile
import soxr
from scipy import signal

from langidd.types import SAMPLE_RATE
from langidd_training.augment.codecs import CODECS, through

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]

TELEPHONE_HZ: Final = (300.0, 3400.0)
"""The pass band of a telephone line (ITU-T G.712)."""
NOISE_DB: Final = 10.0
_BY_NAME: Final = {codec.name: codec for codec in CODECS}


def clean(samples: Sound) -> Sound:
    """As it is."""
    return samples


def telephone(samples: Sound) -> Sound:
    """8 kHz and 300-3400 Hz, as a telephone line passes it; no codec."""
    narrow = soxr.resample(samples, SAMPLE_RATE, 8_000)
    band = signal.butter(4, TELEPHONE_HZ, "bandpass", fs=8_000, output="sos")
    return _fit(soxr.resample(signal.sosfilt(band, narrow), 8_000, SAMPLE_RATE), len(samples))


def noise(samples: Sound, snr_db: float = NOISE_DB) -> Sound:
    """Pink noise `snr_db` below the speech (mean power against mean power)."""
    # The same speech always gets the same noise, whichever model listens.
    draw = np.random.default_rng(zlib.crc32(samples.tobytes()))
    white = np.fft.rfft(draw.standard_normal(len(samples)))
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    pink = np.fft.irfft(white / np.sqrt(np.maximum(hertz, 20.0)), len(samples))
    power = float(np.mean(samples.astype(np.float64) ** 2))
    pink *= np.sqrt(power / 10 ** (snr_db / 10) / max(float(np.mean(pink**2)), 1e-20))
    return np.clip(samples + pink, -1, 1).astype(np.float32)


def opus_low(samples: Sound) -> Sound:
    """Opus at 8 kbit/s, as on a bad connection."""
    return through(_BY_NAME["opus-low"], samples, 8_000)


def opus_messenger(samples: Sound) -> Sound:
    """Opus at 24 kbit/s and 48 kHz, as a messenger codes a voice message."""
    return through(_BY_NAME["opus"], samples, 24_000)


def mu_law(samples: Sound) -> Sound:
    """G.711 μ-law at 8 kHz."""
    return through(_BY_NAME["mu-law"], samples)


def gsm(samples: Sound) -> Sound:
    """GSM 06.10 full rate at 8 kHz (libsndfile's: PyAV's FFmpeg has no GSM encoder)."""
    narrow = soxr.resample(np.clip(samples, -1, 1), SAMPLE_RATE, 8_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, narrow, 8_000, format="WAV", subtype="GSM610")
    buffer.seek(0)
    back, _ = soundfile.read(buffer, dtype="float32")
    return _fit(soxr.resample(back, 8_000, SAMPLE_RATE), len(samples))


def _fit(samples: npt.NDArray[np.floating], length: int) -> Sound:
    kept = np.asarray(samples[:length], np.float32)
    return np.pad(kept, (0, length - len(kept)))


CONDITIONS: Final[dict[str, Callable[[Sound], Sound]]] = {
    "clean": clean,
    "telephone": telephone,
    "noise-10dB": noise,
    "opus-8k": opus_low,
}
"""What every language goes through in the table."""

FOREIGN_CODECS: Final[dict[str, dict[str, Callable[[Sound], Sound]]]] = {
    "uz": {"gsm": gsm, "mu-law": mu_law},
    "ru": {"opus-24k": opus_messenger},
    "en": {"opus-24k": opus_messenger},
}
"""A language's clips through a codec that the corpora know from another language: Uzbek
is all Telegram's Opus, much Russian and English telephone. An answer that changes was
about the recorder."""
