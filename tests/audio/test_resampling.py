"""Any sound becomes 16 kHz mono, whatever pieces it comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.audio.base import SourceCounts
from langidd.audio.resampling import Chunker, Resampler, to_float

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 384_000)


def tone(rate: int, seconds: float, hertz: float = 440.0):
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def resampled(
    sound: npt.NDArray[np.float32], rate: int, pieces: Sequence[int] = (10**9,)
) -> npt.NDArray[np.float32]:
    resampler = Resampler(rate)
    out, at, turn = [], 0, 0
    while at < len(sound):
        size = pieces[turn % len(pieces)]
        out.append(resampler.push(sound[None, at : at + size]))
        at += size
        turn += 1
    out.append(resampler.flush())
    return np.concatenate(out)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_stays_that_tone_at_its_place(rate: int):
    out = resampled(tone(rate, 1.0), rate)
    assert abs(len(out) - 16_000) <= 1
    # The edges ring; between them it is the same tone, sample for sample.
    np.testing.assert_allclose(out[800:15_200], tone(16_000, 1.0)[800:15_200], atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    rate=st.sampled_from(RATES),
    pieces=st.lists(st.integers(1, 5_000), min_size=1, max_size=8),
)
def test_the_pieces_it_comes_in_do_not_matter(rate: int, pieces: list[int]):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, round(rate * 0.2)).astype(np.float32)
    out = resampled(sound, rate, pieces)
    whole = resampled(sound, rate)
    assert len(out) == len(whole)
    np.testing.assert_allclose(out, whole, atol=1e-5)


@given(length=st.integers(1, 50), pieces=st.lists(st.integers(0, 120), max_size=20))
def test_cutting_into_chunks_loses_and_doubles_nothing(length: int, pieces: list[int]):
    sound = np.arange(sum(pieces), dtype=np.float32)
    chunker = Chunker(length)
    out, at = [], 0
    for size in pieces:
        out += chunker.push(sound[at : at + size])
        at += size
        assert chunker.waiting < length
    assert all(len(chunk) == length for chunk in out)
    np.testing.assert_array_equal(np.concatenate([*out, chunker.flush()]), sound)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_what_is_not_finite_becomes_silence_and_is_counted(rate: int):
    sound = tone(rate, 0.5)
    sound[[100, 200, 300]] = np.nan, np.inf, -np.inf
    sound[400] = 7.0
    counts = SourceCounts()
    resampler = Resampler(rate)
    out = np.concatenate([resampler.push(to_float(sound[None], counts)), resampler.flush()])
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 1
    assert (counts.non_finite, counts.clipped) == (3, 1)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64])
def test_integers_of_any_width_have_full_scale_one(kind: type[np.integer]):
    limits = np.iinfo(kind)
    middle = 128 if kind is np.uint8 else 0
    out = to_float(np.array([limits.min, middle, limits.max], dtype=kind), SourceCounts())
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, [-1, 0, 1], atol=0.01)


def test_channels_are_mixed_even_where_a_driver_sends_junk():
    frames = np.array([[0.5, 0.5], [3e38, -3e38], [np.nan, np.inf]], dtype=np.float32)
    resampler = Resampler(16_000, 2)
    sound = to_float(frames.T, counts := SourceCounts())
    out = np.concatenate([resampler.push(sound), resampler.flush()])
    assert np.isfinite(out).all()
    assert (counts.non_finite, counts.clipped) == (2, 2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_after_a_flush_it_goes_on_with_sound_that_does_not_follow(rate: int):
    sound = np.stack([tone(rate, 0.5)] * 2)
    resampler = Resampler(rate, 2)
    first = np.concatenate([resampler.push(sound), resampler.flush()])
    assert resampler.held_s == 0
    np.testing.assert_array_equal(np.concatenate([resampler.push(sound), resampler.flush()]), first)
