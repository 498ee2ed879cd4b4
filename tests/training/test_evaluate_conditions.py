"""What the conditions do to sound, measured on it."""

from __future__ import annotations

import numpy as np
import pytest

from langidd_training.evaluation.conditions import (
    CONDITIONS,
    FOREIGN_CODECS,
    noise,
    opus_low,
    telephone,
)

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    middle = samples[RATE // 4 : -RATE // 4].astype(np.float64)
    return float(10 * np.log10(np.mean(middle**2) + 1e-12))


ALL = {
    **CONDITIONS,
    **{name: change for codecs in FOREIGN_CODECS.values() for name, change in codecs.items()},
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("samples", [1_234, 16_001])
def test_as_many_samples_come_out_as_went_in(name: str, samples: int):
    sound = (np.random.default_rng(1).standard_normal(samples) * 0.1).astype(np.float32)
    heard = ALL[name](sound)
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()


def test_telephone_passes_the_voice_band_only():
    assert level_db(telephone(tone(1_000))) == pytest.approx(level_db(tone(1_000)), abs=0.5)
    assert level_db(telephone(tone(100))) < level_db(tone(100)) - 25
    assert level_db(telephone(tone(5_000))) < level_db(tone(5_000)) - 40


def test_noise_is_ten_decibels_below_and_the_same_each_time():
    sound = tone(440)
    added = noise(sound) - sound
    assert level_db(sound) - level_db(added) == pytest.approx(10, abs=1)
    assert np.array_equal(noise(sound), noise(sound))
    assert not np.array_equal(noise(tone(441)) - tone(441), added)


def test_opus_keeps_the_tone_and_changes_the_samples():
    sound = tone(440)
    heard = opus_low(sound)
    assert not np.allclose(heard, sound, atol=1e-3)
    strongest = np.argmax(np.abs(np.fft.rfft(heard))) * RATE / len(heard)
    assert strongest == pytest.approx(440, abs=5)


@pytest.mark.parametrize("name", ["gsm", "mu-law"])
def test_telephone_codecs_have_nothing_above_four_kilohertz(name: str):
    sound = tone(1_000) + tone(6_000)
    spectrum = np.abs(np.fft.rfft(FOREIGN_CODECS["uz"][name](sound))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert spectrum[hertz > 4_200].sum() < 0.01 * spectrum[hertz < 4_000].sum()
