"""Whatever happens to time stamps: sound that is continuous stays so, and holes are found."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.audio.timestamps import LOOK_AHEAD_S, Timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    Stamps = list[float | None]

FRAME_S = 0.02


def holes_of(
    stamps: Stamps, frame_s: float = FRAME_S, *, arrivals: list[float] | None = None
) -> dict[int, float]:
    """The holes that are found before which frames; no frame is lost or moved.

    With `arrivals` the stream is a live one.
    """
    judge: Timestamps[int] = Timestamps(look_ahead_s=0.0 if arrivals else LOOK_AHEAD_S)
    found: list[tuple[int, float]] = []
    for number, stamp in enumerate(stamps):
        arrived_s = arrivals[number] if arrivals else 0.0
        found += judge.push(number, frame_s, stamp, arrived_s=arrived_s)
        assert not arrivals or len(found) == number + 1
    found += judge.flush()
    assert [number for number, _ in found] == list(range(len(stamps)))
    assert all(lost_s >= 0 for _, lost_s in found)
    return {number: lost_s for number, lost_s in found if lost_s}


def regular(seconds: float, frame_s: float = FRAME_S, start: float = 0.0) -> list[float]:
    return [start + number * frame_s for number in range(round(seconds / frame_s))]


def shared(times: list[float], packets: int) -> Stamps:
    return [times[number // packets * packets] for number in range(len(times))]


def coarse(times: list[float], step_s: float) -> Stamps:
    return [time // step_s * step_s for time in times]


def jittering(times: list[float], most_s: float, seed: int = 1) -> Stamps:
    noise = random.Random(seed)  # noqa: S311 - no secret
    return [time + noise.uniform(0, most_s) for time in times]


def monotonic(stamps: Stamps) -> Stamps:
    return list(itertools.accumulate(stamps, lambda one, two: max(one or 0, two or 0)))


def arriving(times: list[float], mean_delay_s: float, seed: int = 2) -> list[float]:
    """A network's delays: one packet never overtakes another."""
    noise = random.Random(seed)  # noqa: S311 - no secret
    arrivals = (100 + time + noise.expovariate(1 / mean_delay_s) for time in times)
    return list(itertools.accumulate(arrivals, max))


def wrapped(times: list[float], at_s: float) -> Stamps:
    return [time % at_s for time in times]


def sometimes_missing(stamps: Stamps, every: int) -> Stamps:
    return [None if number % every else stamp for number, stamp in enumerate(stamps)]


CONTINUOUS: dict[str, Callable[[list[float]], Stamps]] = {
    "regular": list,
    "milliseconds": lambda times: [round(time, 3) for time in times],
    "late from the start": lambda times: [time + 20 for time in times],
    "negative": lambda times: [time - 5 for time in times],
    "two share one": lambda times: shared(times, 2),
    "five share one": lambda times: shared(times, 5),
    "a hundred share one": lambda times: shared(times, 100),
    "whole seconds": lambda times: coarse(times, 1.0),
    "whole five seconds": lambda times: coarse(times, 5.0),
    "video frames": lambda times: coarse(times, 1 / 25),
    "jitter of 60 ms": lambda times: jittering(times, 0.06),
    "jitter of 200 ms": lambda times: jittering(times, 0.2),
    "jitter of 200 ms, in order": lambda times: monotonic(jittering(times, 0.2)),
    "jitter of a second": lambda times: jittering(times, 1.0),
    "twice as fast": lambda times: [2 * time for time in times],
    "twenty times as fast": lambda times: [20 * time for time in times],
    "half as fast": lambda times: [time / 2 for time in times],
    "a little fast": lambda times: [1.001 * time for time in times],
    "wrapped": lambda times: wrapped(times, 13.7),
    "set back by an hour": lambda times: [time - 3_600 * (time > 11) for time in times],
    "set ahead by ten hours": lambda times: [time + 36_000 * (time > 11) for time in times],
    "back again and again": lambda times: [time - time // 5 * 4.5 for time in times],
    "none": lambda times: [None] * len(times),
    "one of seven": lambda times: sometimes_missing(list(times), 7),
    "all zero": lambda times: [0.0] * len(times),
    "one is zero": lambda times: [
        0.0 if number == 700 else time for number, time in enumerate(times)
    ],
    "some are zero": lambda times: [
        0.0 if 700 < number < 730 else time for number, time in enumerate(times)
    ],
    "one is far ahead": lambda times: [
        time + 50 * (number == 700) for number, time in enumerate(times)
    ],
    "pairs are swapped": lambda times: [times[number ^ 1] for number in range(len(times))],
}


@pytest.mark.parametrize("frame_s", [0.01, 0.02, 0.04, 0.1])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_sound_is_continuous_whatever_its_stamps_say(name: str, frame_s: float):
    times = regular(60, frame_s)
    stamps = CONTINUOUS[name](times)
    assert holes_of(stamps, frame_s) == {}
    # Live: what arrives steadily is continuous; a network that hesitates hides a packet or two.
    found = holes_of(stamps, frame_s, arrivals=[100 + time for time in times])
    assert sum(found.values()) == pytest.approx(0, abs=1e-6)
    late = arriving(times, 0.03)
    assert sum(holes_of(stamps, frame_s, arrivals=late).values()) < 0.3


@settings(max_examples=150, deadline=None)
@given(
    frame_ms=st.sampled_from([10, 20, 21.333, 23.22, 32, 40, 60, 100, 128]),
    scale=st.sampled_from([1.0, 1.0, 1.0005, 0.5, 2.0, 3.3]),
    offset=st.floats(-100, 1e6),
    together=st.integers(1, 30),
    step_s=st.sampled_from([0.0, 0.001, 0.033, 0.25, 1.0]),
    jitter_s=st.sampled_from([0.0, 0.003, 0.05, 0.3]),
    missing=st.integers(1, 4),
    set_back=st.lists(st.tuples(st.floats(1, 39), st.floats(0.6, 1e5)), max_size=2),
    seed=st.integers(0, 1_000),
)
def test_all_that_can_happen_to_stamps_at_once(  # noqa: PLR0917 - what hypothesis draws
    frame_ms: float,
    scale: float,
    offset: float,
    together: int,
    step_s: float,
    jitter_s: float,
    missing: int,
    set_back: list[tuple[float, float]],
    seed: int,
):
    frame_s = frame_ms / 1_000
    times = regular(40, frame_s)
    # Frames that share a stamp span at most a second of the stamps' time.
    together = min(together, max(1, int(1 / (frame_s * max(scale, 1.0)))))
    stamps: Stamps = [scale * float(time or 0) for time in shared(times, together)]
    stamps = jittering([float(stamp or 0) for stamp in stamps], jitter_s, seed)
    if step_s:
        stamps = coarse([float(stamp or 0) for stamp in stamps], step_s)
    for at_s, by_s in set_back:
        stamps = [
            float(stamp or 0) - by_s * (time > at_s)
            for time, stamp in zip(times, stamps, strict=True)
        ]
    stamps = sometimes_missing([float(stamp or 0) + offset for stamp in stamps], missing)
    assert holes_of(stamps, frame_s) == {}


@pytest.mark.xfail(
    strict=True, reason="in the first seconds, steps of 3.3 s of the stamps are taken for a hole"
)
def test_scaled_stamps_that_a_second_of_sound_shares_are_no_hole():
    stamps = [3.3 * float(time or 0) for time in shared(regular(40, 0.1), 10)]
    assert holes_of(stamps, 0.1) == {}


@settings(max_examples=150, deadline=None)
@given(
    holes=st.dictionaries(st.integers(160, 2_900), st.floats(0.02, 100), min_size=1, max_size=20),
    live=st.booleans(),
    rounding=st.booleans(),
)
def test_holes_in_regular_stamps_are_found_where_they_are_and_as_long_as_they_are(
    holes: dict[int, float],
    live: bool,  # noqa: FBT001 - drawn
    rounding: bool,  # noqa: FBT001 - drawn
):
    stamps: Stamps = []
    lost_s = 0.0
    for number in range(3_000):
        lost_s += holes.get(number, 0.0)
        stamp = number * FRAME_S + lost_s
        stamps.append(round(stamp, 3) if rounding else stamp)
    arrivals = [50.0 + float(stamp or 0) for stamp in stamps] if live else None
    found = holes_of(stamps, arrivals=arrivals)
    assert found.keys() == holes.keys()
    for number, hole_s in holes.items():
        assert found[number] == pytest.approx(hole_s, abs=0.003)


@pytest.mark.parametrize("seed", range(5))
def test_a_hole_among_jittering_stamps_is_found_about_where_it_is(seed: int):
    times = regular(30)
    stamps = jittering([time + 2 * (time > 15) for time in times], 0.2, seed)
    found = holes_of(stamps)
    assert sum(found.values()) == pytest.approx(2, abs=0.2)
    assert all(abs(number * FRAME_S - 15) < 0.1 for number in found)


def test_a_hole_among_stamps_in_whole_seconds():
    times = regular(60)
    found = holes_of(coarse([time + 7 * (time > 30) for time in times], 1.0))
    assert sum(found.values()) == pytest.approx(7, abs=1.0)


def test_silence_that_a_codec_does_not_send_is_a_hole_before_each_frame():
    """Opus with DTX: in silence one frame every 400 ms."""
    times = regular(5)
    for _ in range(3):
        times += [times[-1] + 0.4 * (number + 1) for number in range(10)]
        times += regular(5, start=times[-1] + FRAME_S)
    found = holes_of(list(times))
    assert sum(found.values()) == pytest.approx(3 * 10 * 0.38)


def test_a_hole_at_the_start_and_one_at_the_end():
    times = [0.0, *regular(5, start=3.0)]
    assert holes_of(list(times)) == {1: pytest.approx(2.98)}
    times = [*regular(5), *regular(0.4, start=8.0)]
    assert holes_of(list(times)) == {250: pytest.approx(3.0)}


def test_nothing_is_held_back_while_the_stamps_are_well_and_never_for_long():
    judge: Timestamps[int] = Timestamps()
    held = most = 0
    for number, stamp in enumerate([*regular(20), *([400.0] * 3_000)]):
        held += 1 - len(list(judge.push(number, FRAME_S, stamp)))
        if number < 1_000:
            assert held == 0
        most = max(most, held)
    assert most <= 10 / FRAME_S + 1


def test_damage_whose_length_no_stamp_tells_is_as_long_as_what_was_damaged():
    judge: Timestamps[int] = Timestamps()
    found: list[tuple[int, float]] = []
    for number in range(200):
        damaged_s = 0.06 if number == 100 else 0.0
        found += judge.push(number, FRAME_S, None, damaged_s=damaged_s)
    assert dict(found)[100] == 0.06


@pytest.mark.parametrize("concealed", [True, False])
def test_damage_is_as_long_as_regular_stamps_say(concealed: bool):  # noqa: FBT001 - drawn
    judge: Timestamps[int] = Timestamps()
    found: list[tuple[int, float]] = []
    for number in range(200):
        stamp = number * FRAME_S + (0 if concealed else 0.1 * (number >= 100))
        found += judge.push(number, FRAME_S, stamp, damaged_s=0.06 * (number == 100))
    assert dict(found)[100] == pytest.approx(0 if concealed else 0.1)


@pytest.mark.parametrize("delay_s", [0.005, 0.03, 0.1])
def test_a_live_hole_is_found_though_the_network_hesitates(delay_s: float):
    times = [time + 0.5 * (time > 10) + 5 * (time > 20) for time in regular(30)]
    found = holes_of(list(times), arrivals=arriving(times, delay_s))
    assert sum(found.values()) == pytest.approx(5.5, abs=0.02)
    assert len(found) == 2


def test_a_burst_after_a_pause_of_the_network_is_no_hole():
    times = regular(30)
    arrivals = [max(time, 18.0) if time > 10 else time for time in times]
    assert holes_of(list(times), arrivals=arrivals) == {}


def test_sound_that_the_camera_dropped_while_the_network_paused_is_a_hole():
    times = [time for time in regular(30) if not 13 < time < 16]
    arrivals = [max(time, 18.0) if time > 10 else time for time in times]
    assert sum(holes_of(list(times), arrivals=arrivals).values()) == pytest.approx(3, abs=0.05)


def test_jumps_are_counted():
    judge: Timestamps[int] = Timestamps()
    times = regular(20)
    for number, time in enumerate(times):
        list(judge.push(number, FRAME_S, time + 90_000 * (time > 5) - 400 * (time > 12)))
    assert judge.jumps == 2
