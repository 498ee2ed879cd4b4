"""Windows: every hop of new speech, the last seconds of the segment, nothing lost or doubled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.speech.windower import Windower
from langidd.types import SAMPLE_RATE, Pause, Speech, Window

START = 1_700_000_000.0


def _speech(first: int, last: int, *, is_first: bool = False, is_last: bool = False) -> Speech:
    """Samples that say their own position in the segment."""
    samples = np.arange(first, last, dtype=np.float32)
    return Speech(samples, START + first / SAMPLE_RATE, 1, is_first=is_first, is_last=is_last)


def _segment(windows: Windower, cuts: list[int]) -> list[Window]:
    edges = [0, *cuts]
    made = []
    for index, (first, last) in enumerate(itertools.pairwise(edges)):
        piece = _speech(first, last, is_first=index == 0, is_last=index == len(edges) - 2)
        made += windows.push(piece)
    return [item for item in made if isinstance(item, Window)]


def test_a_window_every_second_reaching_four_seconds_back() -> None:
    made = _segment(Windower("a"), [int(6.5 * SAMPLE_RATE)])
    assert [window.span.duration_s for window in made] == pytest.approx([1, 2, 3, 4, 4, 4, 4])
    assert [window.span.new_s for window in made] == pytest.approx([1, 1, 1, 1, 1, 1, 0.5])
    assert [window.span.number for window in made] == list(range(7))
    assert [window.span.is_first for window in made] == [True] + [False] * 6
    assert [window.span.is_last for window in made] == [False] * 6 + [True]
    assert made[-1].samples[-1] == int(6.5 * SAMPLE_RATE) - 1


def test_a_word_shorter_than_the_first_window_still_has_one() -> None:
    made = _segment(Windower("a"), [8_000])
    assert len(made) == 1
    assert made[0].span.is_first
    assert made[0].span.is_last
    assert len(made[0].samples) == 8_000


def test_nothing_reaches_over_the_end_of_a_segment() -> None:
    windows = Windower("a")
    _segment(windows, [3 * SAMPLE_RATE])
    assert windows.push(Pause(0, 1)) == [Pause(0, 1)]
    second = _segment(windows, [3 * SAMPLE_RATE])
    assert len(second[0].samples) == SAMPLE_RATE


@pytest.mark.parametrize("length_s", [0.0, 31.0])
def test_lengths_that_whisper_cannot_take_are_refused(length_s: float) -> None:
    with pytest.raises(ValueError, match="30"):
        Windower("a", length_s=length_s)


@settings(max_examples=100, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 200_000), min_size=1, max_size=8, unique=True).map(sorted),
    hop_s=st.floats(0.2, 3.0),
    first_s=st.floats(0.2, 3.0),
    length_s=st.floats(0.5, 30.0),
)
def test_new_speech_adds_up_and_cuts_change_nothing(
    cuts: list[int], hop_s: float, first_s: float, length_s: float
) -> None:
    def windows() -> Windower:
        return Windower("a", hop_s=hop_s, length_s=length_s, first_s=first_s)

    pieces = _segment(windows(), cuts)
    whole = _segment(windows(), [cuts[-1]])

    assert len(pieces) == len(whole)
    for one, other in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.span.new_s == other.span.new_s
    position = 0
    for window in pieces:
        # Each window ends where its samples say, and follows the one before without a hole.
        new = round(window.span.new_s * SAMPLE_RATE)
        end = int(window.samples[-1]) + 1
        np.testing.assert_array_equal(window.samples, np.arange(end - len(window.samples), end))
        assert end - new == position or new == len(window.samples)
        position = end
    assert position == cuts[-1]
