"""What the conditions do to sound, measured on it."""

from __future__ import annotations

import numpy as np
import pytest

from langidd.errors import ConfigError
from langidd_training.evaluation.conditions import conditions, noisy, reverberant, telephone

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    middle = samples[RATE // 4 : -RATE // 4].astype(np.float64)
    return float(10 * np.log10(np.mean(middle**2) + 1e-12))


NOISES = [np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1]
ROOMS = [np.concatenate([np.zeros(100), [1.0], np.zeros(799), [0.5]]).astype(np.float32)]


def test_there_is_a_condition_for_what_there_is_material_for():
    assert list(conditions([], [])) == ["telephone"]
    assert list(conditions(NOISES, ROOMS)) == ["telephone", "noise-10dB", "room"]


@pytest.mark.parametrize("name", ["telephone", "noise-10dB", "room"])
@pytest.mark.parametrize("seconds", [0.6, 1.0, 3.01])
def test_a_condition_keeps_length_type_and_is_the_same_each_time(name: str, seconds: float):
    change = conditions(NOISES, ROOMS)[name]
    samples = tone(700, seconds)
    changed = change(samples)
    assert (changed.dtype, changed.shape) == (np.float32, samples.shape)
    assert np.array_equal(changed, change(samples))
    assert not np.array_equal(changed, samples)


def test_a_telephone_passes_its_band_and_no_more():
    assert level_db(telephone(tone(1_000))) == pytest.approx(level_db(tone(1_000)), abs=1)
    for hertz in (100, 5_000):
        assert level_db(telephone(tone(hertz))) < level_db(tone(hertz)) - 20


def test_noise_lies_as_far_below_the_speech_as_it_should():
    samples = tone(700, 2.0)
    added = noisy(samples, NOISES) - samples
    assert level_db(samples) - level_db(added) == pytest.approx(10, abs=0.5)


def test_a_room_begins_with_the_direct_sound_and_keeps_the_level():
    click = np.zeros(RATE, np.float32)
    click[1_000] = 0.4
    wet = reverberant(click, ROOMS)
    assert wet[1_000] == pytest.approx(0.4, abs=1e-3)
    assert wet[1_800] == pytest.approx(0.2, abs=1e-3)


def test_noise_that_cannot_be_used_is_named():
    with pytest.raises(ConfigError, match="--noise"):
        conditions([np.zeros(RATE, np.float32), np.ones(100, np.float32)], [])
