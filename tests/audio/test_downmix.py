"""Many channels to one: nothing that is said on any of them vanishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.audio.downmix import Downmix

if TYPE_CHECKING:
    import numpy.typing as npt

    Sound = npt.NDArray[np.float32]

RATE = 16_000


def mixed(channels: Sound, rate: int = RATE, piece: int = 1_000) -> Sound:
    downmix = Downmix(rate, len(channels))
    parts = [
        downmix.push(channels[:, at : at + piece]) for at in range(0, channels.shape[1], piece)
    ]
    return np.concatenate([*parts, downmix.flush()])


def decibel(sound: Sound, reference: Sound) -> float:
    return 10 * float(np.log10(np.mean(np.square(sound)) / np.mean(np.square(reference))))


def share_of(part: Sound, mix: Sound) -> float:
    """How loud `part` is inside `mix`: the factor of its least-squares fit."""
    return abs(float(part @ mix / (part @ part)))


@pytest.fixture(scope="module")
def talkers(conversation: Sound) -> tuple[Sound, Sound, Sound]:
    """Three pieces of speech of five seconds, of three people."""
    return tuple(conversation[at * RATE : (at + 5) * RATE] for at in (1, 12, 23))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "signs",
    [[1, 1], [1, -1], [1, 1, 1], [1, 0], [0, 1], [0, 0, 0, 1, 0, 0], [1, -1, 1, -1, -1], [1] * 8],
)
def test_one_sound_on_any_of_the_channels_comes_out_sample_for_sample(
    talkers: tuple[Sound, ...], signs: list[int]
):
    sound = talkers[0]
    out = mixed(np.outer(np.float32(signs), sound))
    majority = 1 if sum(signs) >= 0 else -1
    np.testing.assert_array_equal(out, majority * sound)


def test_silence_before_the_sound_changes_nothing(talkers: tuple[Sound, ...]):
    sound = np.concatenate([np.zeros(8_000, np.float32), talkers[0]])
    np.testing.assert_array_equal(mixed(np.stack([sound, -sound])), sound)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("noise_db", [-60, -30, -10])
def test_an_inverted_channel_cancels_nothing_though_both_are_noisy(
    talkers: tuple[Sound, ...], rate: int, noise_db: int
):
    sound = np.interp(np.arange(3 * rate) / rate, np.arange(5 * RATE) / RATE, talkers[0])
    noise = np.random.default_rng(1).normal(size=(2, len(sound)))
    scale = 10 ** (noise_db / 20) * np.sqrt(np.mean(sound**2))
    channels = (np.stack([sound, -0.7 * sound]) + scale * noise).astype(np.float32)
    out = mixed(channels, rate)
    assert share_of(sound.astype(np.float32), out) > 0.9


@pytest.mark.parametrize("delay_ms", [0.1, 0.5, 1, 2, 5, 12])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_channel_that_is_some_milliseconds_late(
    talkers: tuple[Sound, ...], delay_ms: float, sign: int
):
    rate = 48_000
    sound = np.interp(np.arange(5 * rate) / rate, np.arange(5 * RATE) / RATE, talkers[0])
    late = sign * np.roll(sound, round(delay_ms * rate / 1_000))
    out = mixed(np.stack([sound, late]).astype(np.float32), rate)
    assert decibel(out, sound.astype(np.float32)) > -4


@pytest.mark.parametrize("level_db", [0, -10, -20, -30])
@pytest.mark.parametrize("count", [2, 6])
def test_each_talker_on_a_channel_of_his_own_is_in_the_mix(
    talkers: tuple[Sound, ...], level_db: int, count: int
):
    one, other = talkers[0], talkers[1] * 10 ** (level_db / 20)
    channels = np.zeros((count, len(one)), np.float32)
    channels[0], channels[-1] = one, other
    out = mixed(channels)
    assert share_of(one, out) > 0.4
    assert share_of(other, out) > 0.4


def test_a_talker_after_a_louder_one_on_another_channel_keeps_his_level(
    talkers: tuple[Sound, ...],
):
    quiet = np.float32(0.1) * talkers[1]
    silence = np.zeros_like(quiet)
    channels = np.stack([np.r_[talkers[0], silence], np.r_[silence, quiet]])
    out = mixed(channels)
    assert share_of(talkers[0], out[: len(quiet)]) > 0.9
    assert share_of(quiet, out[len(quiet) :]) > 0.7


def test_three_channels_that_sum_to_nothing(talkers: tuple[Sound, ...]):
    one, other = talkers[0], talkers[1]
    out = mixed(np.stack([one, other, -one - other]) / 2)
    assert decibel(out, one / 2) > -6


def test_a_second_talker_with_opposite_signs_where_the_first_has_equal_ones(
    talkers: tuple[Sound, ...],
):
    channels = np.stack([np.r_[talkers[0], talkers[1]], np.r_[talkers[0], -talkers[1]]])
    out = mixed(channels)
    size = len(talkers[0])
    assert share_of(talkers[0], out[:size]) > 0.9
    assert decibel(out[size + RATE // 2 :], talkers[1][RATE // 2 :]) > -1


def test_an_offset_of_a_dead_channel_hides_nothing(talkers: tuple[Sound, ...]):
    sound = talkers[0]
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(len(sound)) / RATE)
    dead = np.full_like(sound, 0.9)
    inverted = -sound + np.float32(0.2)
    for others in ([dead], [inverted], [dead, inverted], [hum]):
        out = mixed(np.stack([sound, *others]).astype(np.float32))
        change = np.diff(out.astype(np.float64))
        assert share_of(np.diff(sound).astype(np.float64), change) > 0.6


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.integers(0, 3_000), min_size=1, max_size=12),
    channels=st.integers(2, 4),
    seed=st.integers(0, 5),
)
def test_the_pieces_it_comes_in_do_not_matter(pieces: list[int], channels: int, seed: int):
    draws = np.random.default_rng(seed)
    size = sum(pieces)
    sound = draws.uniform(-1, 1, (channels, size)) * draws.uniform(-1, 1, (channels, 1))
    sound = (sound + draws.uniform(-1, 1, size) * draws.choice([-1, 1], (channels, 1))) / 2
    sound = sound.astype(np.float32)
    downmix = Downmix(RATE, channels)
    parts, at = [], 0
    for piece in pieces:
        parts.append(downmix.push(sound[:, at : at + piece]))
        at += piece
        assert downmix.held_s < 0.02
    out = np.concatenate([*parts, downmix.flush()])
    assert len(out) == size
    assert np.abs(out).max(initial=0) <= 1
    np.testing.assert_array_equal(out, mixed(sound))
