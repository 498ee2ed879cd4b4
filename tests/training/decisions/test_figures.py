from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest

from langidd.types import Decision
from langidd_training.decisions.bars import against_bars
from langidd_training.decisions.figures import figures, reliability, value
from langidd_training.decisions.report import as_object, tables
from langidd_training.decisions.score import Tally, tally
from langidd_training.decisions.truth import Truth, TruthSpan

TALK = Truth((TruthSpan(1.0, 11.0, "uz"), TruthSpan(12.0, 22.0, "ru"), TruthSpan(22.0, 30.0, "tr")))


def says(
    at: float,
    language: str,
    reason: Literal["change", "update", "pause"] = "change",
    confidence: float = 0.9,
) -> Decision:
    return Decision("x", language, confidence, reason, since=at - 1.0, decided_at=at)


def judged(*decisions: Decision, truth: Truth = TALK, name: str = "turns-1") -> Tally:
    return tally(name, decisions, truth, ("uz", "ru", "en"), audio_s=36.0)


def test_a_good_listener():
    one = judged(says(2.0, "uz"), says(13.5, "ru"), says(24.0, "und"))
    assert (one.kind, one.known_s, one.unknown_s) == ("turns", 20.0, 8.0)
    assert (one.has_first, one.first_right, one.first_after_s) == (True, True, 1.0)
    assert one.lags_s == [1.5]
    assert one.since_off_s == [0.5]
    assert (one.false, one.reversals) == (0, 0)
    # uz in the first 1.5 s of Russian is wrong, the first second had no answer yet
    assert (one.wrong_s, one.und_s, one.unknown_und_s) == (1.5, 1.0, 6.0)


def test_und_after_a_switch_is_no_false_switch_but_und_for_the_right_language_is():
    after_switch = judged(says(2.0, "uz"), says(13.0, "und"), says(15.0, "ru"))
    assert (after_switch.false, after_switch.lags_s) == (0, [3.0])
    taken_away = judged(says(2.0, "uz"), says(6.0, "und"), says(9.0, "uz"))
    assert (taken_away.false, taken_away.false_und) == (1, 1)


def test_premature_and_wrong_changes_are_false_and_a_switch_never_told_is_missed():
    premature = judged(says(2.0, "uz"), says(10.0, "ru"))
    assert (premature.false, premature.lags_s) == (1, [math.inf])
    wrong = judged(says(2.0, "uz"), says(5.0, "en"), says(6.0, "uz"), says(14.0, "ru"))
    assert (wrong.false, wrong.reversals, wrong.wrong_s) == (1, 1, 1.0 + 2.0)
    slow_return = judged(says(2.0, "uz"), says(5.0, "en"), says(8.0, "uz"))
    assert (slow_return.false, slow_return.reversals) == (1, 0)


def test_zxx_while_somebody_speaks_is_false_and_wrong_and_in_a_pause_it_is_neither():
    assert judged(says(2.0, "uz"), says(5.0, "zxx")).false == 1
    assert judged(says(2.0, "uz"), says(11.5, "zxx")).false == 0


def test_silence_of_the_listener_is_a_miss():
    one = judged()
    assert (one.first_right, one.first_after_s, one.lags_s) == (False, math.inf, [math.inf])
    assert value([one], "first decision right") == 0.0
    assert value([one], "first decision, median") == math.inf
    assert value([one], "switches found at all") == 0.0


def test_where_nobody_speaks_any_language_is_named_in_vain():
    one = judged(says(2.0, "und"), says(3.0, "ru"), says(9.0, "zxx"), truth=Truth(), name="nothing")
    assert one.named_in_vain == 1
    assert value([one], "languages named where nobody speaks") == pytest.approx(100.0)


def test_confidence_is_compared_with_how_often_it_is_right():
    decisions = [says(2.0, "uz", confidence=0.8)]
    decisions += [says(2.0 + step, "uz", "update", confidence=0.8) for step in range(1, 9)]
    decisions += [says(13.0, "uz", "update", confidence=0.8), says(14.0, "ru", "pause")]
    one = judged(*decisions)
    assert reliability([one]) == [(0.8, 0.9, 10, pytest.approx(0.8), pytest.approx(0.9))]
    assert value([one], "confidence, calibration error") == pytest.approx(10.0)
    assert math.isnan(value([one], "right when 0.9 sure or more"))


def test_intervals_hold_the_value_and_widen_with_fewer_recordings():
    good = judged(says(2.0, "uz"), says(13.5, "ru"))
    bad = judged(says(2.0, "en"), says(13.5, "uz"))

    def width(copies: int) -> float:
        some = [replace(one) for one in [good, good, good, bad] * copies]
        figure = next(one for one in figures(some) if one.name == "first decision right")
        assert figure.low <= figure.value == 75.0 <= figure.high
        return figure.high - figure.low

    assert width(2) > width(20) > 0.0


def test_no_figure_is_made_up_where_there_is_nothing_to_measure():
    assert all(math.isnan(one.value) for one in figures([]))
    silent = judged(truth=Truth(), name="nothing-1")
    assert math.isnan(value([silent], "first decision right"))
    assert math.isnan(value([silent], "wrong language"))


def test_bars_are_judged_on_the_kinds_that_they_speak_of():
    good = judged(says(2.0, "uz"), says(13.5, "ru"), says(24.0, "und"))
    holds = {(bar.figure, bar.kinds[0]): holds for bar, _, holds in against_bars([good])}
    assert holds["first decision right", "start"]
    assert holds["switches within 2 s", "turns"]
    assert ("false switches", "noisy") not in holds


def test_tables_and_json_can_be_made_of_anything():
    for some in ([judged()], [judged(truth=Truth(), name="nothing")], [judged(), judged(name="b")]):
        assert len(list(tables(some))) >= 3
        made = as_object(some)
        assert made["recordings"] == len(some)
        assert set(made["kinds"]) == {one.kind for one in some}
