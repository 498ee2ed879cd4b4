"""The decider counts durations: a clock that is set moves its dates, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.decision.decider import Decider
from langidd.decision.presets import BALANCED, PRESETS
from langidd.types import Decision, Pause, Scores
from tests.decision.test_decider_properties import CALIBRATION, Speaker, Story, clear, play, scored

HOUR_S = 3_600.0


def moved(item: Scores | Pause, by_s: float) -> Scores | Pause:
    """Return the same item as a clock that is `by_s` ahead dates it."""
    if isinstance(item, Pause):
        return replace(item, start=item.start + by_s, end=item.end + by_s)
    span = replace(item.span, start=item.span.start + by_s, end=item.span.end + by_s)
    return replace(item, span=span)


def dated(decision: Decision, by_s: float) -> Decision:
    return replace(decision, since=decision.since + by_s, decided_at=decision.decided_at + by_s)


def one_by_one(story: Story) -> list[Decision | None]:
    decider = Decider("x", CALIBRATION, BALANCED)
    return [
        decider.pause(item) if isinstance(item, Pause) else decider.update(item) for item in story
    ]


def test_a_clock_set_back_an_hour_delays_no_zxx_and_leaves_no_date_in_the_future():
    speaker = Speaker()
    decider = Decider("x", CALIBRATION, BALANCED)
    play(decider, [speaker.says(clear("uz")) for _ in range(10)])
    set_back = moved(speaker.rests(0.0, gap=True), -HOUR_S)
    assert isinstance(set_back, Pause)
    answers = play(decider, [replace(set_back, clock_step_s=-HOUR_S)])
    answers += play(decider, [moved(speaker.rests(), -HOUR_S) for _ in range(40)])
    assert [(answer.reason, answer.language) for answer in answers] == [
        ("pause", "uz"),
        ("change", "zxx"),
    ]
    assert answers[0].since == 1_000.0 - HOUR_S
    assert answers[1].since == 1_010.0 - HOUR_S
    assert answers[1].decided_at == 1_010.0 - HOUR_S + BALANCED.no_speech_after_s


@st.composite
def stories_and_steps(draw: st.DrawFn) -> tuple[Story, list[float]]:
    """Items whose times are exact in binary, and how far the clock is set before each."""
    speaker = Speaker(hop_s=draw(st.sampled_from([0.25, 0.5, 1.0])))
    speaker.at = 1_700_000_000.0
    story: Story = []
    steps: list[float] = []
    for _ in range(draw(st.integers(1, 40))):
        kind = draw(st.sampled_from(["speech", "speech", "speech", "silence", "gap"]))
        if kind == "speech":
            scores = speaker.says({})
            logits = draw(st.lists(st.floats(-30.0, 30.0, width=32), min_size=4, max_size=4))
            story.append(scored(scores.span, logits))
            steps.append(0.0)
            continue
        length_s = draw(st.integers(0, 2_000)) / 16
        story.append(speaker.rests(length_s, gap=kind == "gap"))
        settings_s = st.integers(-40_000, 40_000).map(lambda quarter: quarter / 4)
        steps.append(draw(settings_s) if kind == "gap" and draw(st.booleans()) else 0.0)
    return story, steps


@given(stories_and_steps())
@settings(max_examples=150, deadline=None)
def test_a_clock_that_is_set_moves_the_dates_and_nothing_else(case: tuple[Story, list[float]]):
    story, steps = case
    told: Story = []
    offsets: list[float] = []
    offset_s = 0.0
    for item, step_s in zip(story, steps, strict=True):
        offset_s += step_s
        offsets.append(offset_s)
        late = moved(item, offset_s)
        told.append(replace(late, clock_step_s=step_s) if isinstance(late, Pause) else late)
    straight = one_by_one(story)
    for one, other, by_s in zip(straight, one_by_one(told), offsets, strict=True):
        assert (None if one is None else dated(one, by_s)) == other


@pytest.mark.parametrize("preset", sorted(PRESETS))
@given(
    case=stories_and_steps(),
    jumps=st.lists(st.floats(-9_000.0, 9_000.0), min_size=40, max_size=40),
)
@settings(max_examples=50, deadline=None)
def test_whatever_the_stamps_say_since_is_never_after_decided_at(
    preset: str, case: tuple[Story, list[float]], jumps: list[float]
):
    decider = Decider("x", CALIBRATION, PRESETS[preset])
    story = [moved(item, by_s) for item, by_s in zip(case[0], jumps, strict=False)]
    for decision in play(decider, story):
        assert decision.since <= decision.decided_at


def test_stamps_that_go_back_without_a_word_are_a_clock_that_was_set_back():
    speaker = Speaker()
    decider = Decider("x", CALIBRATION, BALANCED)
    play(decider, [speaker.says(clear("uz")) for _ in range(10)])
    answers = play(decider, [moved(speaker.rests(), -HOUR_S) for _ in range(40)])
    assert [answer.language for answer in answers] == ["uz", "zxx"]
    assert answers[1].since == 1_010.0 - HOUR_S


def test_short_gaps_in_a_silence_do_not_put_off_zxx_and_a_long_one_does():
    for gap_s, expected in ((0.2, ["zxx"]), (HOUR_S, [])):
        speaker = Speaker()
        decider = Decider("x", CALIBRATION, BALANCED)
        silence = [speaker.rests(20.0), speaker.rests(gap_s, gap=True), speaker.rests(12.0)]
        assert [answer.language for answer in play(decider, silence)] == expected
