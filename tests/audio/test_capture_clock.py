"""Capture times: counted in samples, corrected by arrivals, with any clock."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.audio.capture_clock import CaptureClock, Stamp

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1_600
CHUNK_S = 0.1


class Time:
    """A machine whose clocks are set by hand."""

    def __init__(self, wall: float = 1_000_000.0) -> None:
        self.now = 50.0
        self.offset = wall - self.now

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset

    def clock(self) -> CaptureClock:
        return CaptureClock(monotonic=self.monotonic, wall=self.wall)


def listen(
    time: Time,
    clock: CaptureClock,
    seconds: float,
    *,
    drift: float = 0.0,
    delay: Callable[[], float] = lambda: 0.0,
) -> list[tuple[Stamp, float]]:
    """Stamps of sound heard now; the last one's error against the true capture time."""
    stamps = []
    heard = time.now
    for _ in range(round(seconds / CHUNK_S)):
        heard += CHUNK_S * (1 + drift)
        time.now = max(time.now, heard + delay())
        stamp = clock.stamp(CHUNK, time.now)
        stamps.append((stamp, stamp.captured_at - (heard - CHUNK_S + time.offset)))
    return stamps


def test_the_first_sample_s_time_is_when_it_was_heard_not_when_its_chunk_came():
    time = Time()
    (stamp, error), *_ = listen(time, time.clock(), 0.1)
    assert stamp.captured_at == pytest.approx(1_000_000.0)
    assert error == pytest.approx(0)
    assert not stamp.gap


@pytest.mark.parametrize("drift", [-200e-6, -20e-6, 20e-6, 200e-6])
def test_drift_is_absorbed_without_a_gap(drift: float):
    """200 ppm is 0.72 s an hour; a month would be nine minutes off."""
    time = Time()
    noise = random.Random(1)  # noqa: S311 - a network, no secret
    stamps = listen(
        time, time.clock(), 3_600, drift=drift, delay=lambda: noise.expovariate(1 / 0.02)
    )
    assert not any(stamp.gap for stamp, _ in stamps)
    assert abs(stamps[-1][1]) < 0.06
    steps = [
        other.captured_at - one.captured_at for (one, _), (other, _) in itertools.pairwise(stamps)
    ]
    assert max(abs(step - CHUNK_S) for step in steps[300:]) <= 0.0021 * CHUNK_S


def test_a_network_that_hesitates_moves_no_stamp():
    time = Time()
    clock = time.clock()
    listen(time, clock, 60)
    time.now += 8  # nothing comes for eight seconds, then all of it at once
    late = [clock.stamp(CHUNK, time.now) for _ in range(80)]
    assert not any(stamp.gap for stamp in late)
    _, error = listen(time, clock, 30)[-1]
    assert abs(error) < 0.05


def test_a_burst_of_old_sound_at_the_beginning_is_put_right_without_a_gap():
    time = Time()
    clock = time.clock()
    burst = [clock.stamp(CHUNK, time.now) for _ in range(20)]
    stamps = listen(time, clock, 90)
    assert not any(stamp.gap for stamp in burst)
    assert not any(stamp.gap for stamp, _ in stamps)
    assert stamps[0][1] == pytest.approx(1.9, abs=0.2)
    assert abs(stamps[-1][1]) < 0.12


def test_sound_that_was_lost_unseen_shows_after_a_while_as_one_gap():
    time = Time()
    clock = time.clock()
    listen(time, clock, 60)
    time.now += 3  # the device slept, and nobody said so
    stamps = listen(time, clock, 60)
    assert sum(stamp.gap for stamp, _ in stamps) == 1
    assert abs(stamps[-1][1]) < 0.01


def test_sound_that_is_known_to_be_lost_moves_the_stamps_at_once():
    time = Time()
    clock = time.clock()
    last, _ = listen(time, clock, 1)[-1]
    time.now += 2
    stamp = clock.stamp(CHUNK, time.now + CHUNK_S, lost_s=2.0)
    assert stamp.captured_at == pytest.approx(last.captured_at + CHUNK_S + 2.0)


def test_after_an_unknown_loss_the_arrival_tells_the_time_and_never_goes_back():
    time = Time()
    clock = time.clock()
    last, _ = listen(time, clock, 1)[-1]
    clock.lose()
    assert clock.stamp(CHUNK, time.now).captured_at > last.captured_at + 0.95 * CHUNK_S
    clock.lose()
    time.now += 5
    assert clock.stamp(CHUNK, time.now).captured_at == pytest.approx(time.wall() - CHUNK_S)


@pytest.mark.parametrize("step_s", [3_600.0, -3_600.0, 50 * 365 * 86_400.0])
def test_when_the_system_s_clock_is_set_the_stamps_follow_with_one_gap(step_s: float):
    time = Time()
    clock = time.clock()
    listen(time, clock, 10)
    time.offset += step_s
    stamps = listen(time, clock, 10)
    assert [stamp.gap for stamp, _ in stamps] == [True] + [False] * 99
    assert abs(stamps[-1][1]) < 0.01


def test_a_clock_that_is_corrected_softly_makes_no_gap():
    time = Time()
    clock = time.clock()
    for _ in range(100):
        time.offset += 0.005
        stamps = listen(time, clock, 10)
        assert not any(stamp.gap for stamp, _ in stamps)
    assert abs(stamps[-1][1]) < 0.05


@settings(max_examples=60, deadline=None)
@given(
    delays=st.lists(st.floats(0, 5), min_size=1, max_size=200),
    samples=st.integers(1, 5_000),
)
def test_whatever_the_arrivals_a_stretch_s_times_never_run_back(delays: list[float], samples: int):
    time = Time()
    clock = time.clock()
    end = None
    for delay in delays:
        time.now += delay
        stamp = clock.stamp(samples, time.now)
        if end is not None and not stamp.gap:
            assert abs(stamp.captured_at - end) <= 0.06 * samples / 16_000 + 1e-6
        end = stamp.captured_at + samples / 16_000
