from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langidd.decision.confidence import published_probabilities
from langidd.decision.decider import Decider
from langidd.decision.presets import BALANCED, PRESETS, DeciderSettings, decider_settings
from langidd.errors import ConfigError
from langidd.model.calibration import temperature
from langidd.types import Calibration, Decision, Pause, Scores, Span
from tests.support import fake_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

Story = list[Scores | Pause]
LABELS = ("uz", "ru", "en", "other")
CALIBRATION = Calibration(
    LABELS, unknown=("other",), temperatures=((1.0, 1.4), (2.0, 1.2), (4.0, 1.1))
)


def scored(
    span: Span,
    logits: Sequence[float] | npt.NDArray[np.float32],
    calibration: Calibration = CALIBRATION,
) -> Scores:
    return fake_model.scored(span, logits, calibration)


class Speaker:
    """Makes scores and pauses in the order of time, as the pipeline would."""

    def __init__(self, hop_s: float = 1.0, length_s: float = 4.0) -> None:
        self.hop_s, self.length_s = hop_s, length_s
        self.at, self.number, self.segment, self.in_segment_s = 1_000.0, 0, 0, 0.0

    def says(self, probabilities: dict[str, float]) -> Scores:
        self.at += self.hop_s
        self.in_segment_s += self.hop_s
        start = self.at - min(self.in_segment_s, self.length_s)
        is_first = self.in_segment_s <= self.hop_s
        span = Span("x", self.number, start, self.at, self.hop_s, self.segment, is_first=is_first)
        self.number += 1
        scale = temperature(CALIBRATION.temperatures, span.duration_s)
        logits = [scale * math.log(probabilities.get(label, 1e-6)) for label in LABELS]
        return scored(span, logits)

    def rests(self, length_s: float = 1.0, *, gap: bool = False) -> Pause:
        start, self.at = self.at, self.at + length_s
        self.segment, self.in_segment_s = self.segment + 1, 0.0
        return Pause(start, self.at, gap=gap)


def decider(settings: DeciderSettings = BALANCED, **more: object) -> Decider:
    return Decider("x", CALIBRATION, settings, **more)  # type: ignore[arg-type]


def play(one: Decider, story: Story) -> list[Decision]:
    answers = (one.pause(item) if isinstance(item, Pause) else one.update(item) for item in story)
    return [answer for answer in answers if answer is not None]


def clear(language: str, sure: float = 0.94) -> dict[str, float]:
    rest = (1.0 - sure) / (len(LABELS) - 1)
    return {label: sure if label == language else rest for label in LABELS}


@st.composite
def stories(draw: st.DrawFn) -> Story:
    speaker = Speaker(hop_s=draw(st.sampled_from([0.25, 0.5, 1.0])))
    story: Story = []
    for _ in range(draw(st.integers(1, 30))):
        if draw(st.integers(0, 4)) == 0:
            length_s = draw(st.floats(0.1, 400.0))
            story.append(speaker.rests(length_s, gap=draw(st.booleans())))
        else:
            scores = speaker.says({})
            logits = draw(
                st.lists(st.floats(-30.0, 30.0, width=32), min_size=4, max_size=4),
            )
            story.append(scored(scores.span, logits))
    return story


@given(stories(), st.sampled_from(sorted(PRESETS)))
@settings(max_examples=100, deadline=None)
def test_probabilities_are_a_distribution_and_the_answer_is_one_of_those_allowed(
    story: Story, preset: str
):
    for decision in play(decider(PRESETS[preset]), story):
        total = math.fsum(decision.probabilities.values())
        assert math.isclose(total, 0.0 if decision.language == "zxx" else 1.0, abs_tol=1e-12)
        assert all(0.0 <= value <= 1.0 for value in decision.probabilities.values())
        assert decision.confidence == decision.probabilities.get(decision.language, 1.0)
        assert (decision.language in decision.probabilities) == (decision.language != "zxx")
        assert decision.language in {"uz", "ru", "en", "und", "zxx"}
        assert decision.since <= decision.decided_at
        assert decision.speech_s >= 0.0


@given(stories(), st.permutations(range(4)))
@settings(max_examples=100, deadline=None)
def test_permuting_the_labels_permutes_the_answers(story: Story, order: list[int]):
    calibration = replace(CALIBRATION, labels=tuple(LABELS[place] for place in order))
    permuted = [
        item
        if isinstance(item, Pause)
        else scored(item.span, item.logits[list(order)], calibration)
        for item in story
    ]
    straight = play(decider(), story)
    assert play(Decider("x", calibration, BALANCED), permuted) == straight


@given(stories(), st.permutations(["uz", "ru", "en"]))
@settings(max_examples=100, deadline=None)
def test_renaming_the_languages_renames_the_answers(story: Story, names: list[str]):
    new = dict(zip(("uz", "ru", "en"), names, strict=True))
    calibration = replace(CALIBRATION, labels=tuple(new.get(label, label) for label in LABELS))
    straight = play(decider(), story)
    told = [
        item if isinstance(item, Pause) else scored(item.span, item.logits, calibration)
        for item in story
    ]
    renamed = play(Decider("x", calibration, BALANCED), told)
    assert [answer.language for answer in renamed] == [
        new.get(answer.language, answer.language) for answer in straight
    ]
    for one, other in zip(straight, renamed, strict=True):
        assert {
            new.get(name, name): value for name, value in one.probabilities.items()
        } == other.probabilities


@given(stories())
@settings(max_examples=50, deadline=None)
def test_the_same_story_told_twice_has_the_same_end(story: Story):
    one = decider()
    first = play(one, story)
    assert play(decider(), story) == first
    one.reset()
    assert play(one, story) == first


@given(stories())
@settings(max_examples=50, deadline=None)
def test_only_candidates_are_ever_named(story: Story):
    for decision in play(decider(candidates=["ru", "uz"]), story):
        assert decision.language in {"ru", "uz", "und", "zxx"}
        silent = decision.language == "zxx"
        assert set(decision.probabilities) == (set() if silent else {"ru", "uz", "und"})


def test_what_speaks_for_a_language_outside_the_candidates_speaks_for_und():
    speaker = Speaker()
    english = [speaker.says(clear("en")) for _ in range(8)]
    answers = play(decider(candidates=["ru", "uz"]), english)
    assert {answer.language for answer in answers} == {"und"}
    assert answers[-1].probabilities["und"] > 0.85


@pytest.mark.parametrize("preset", PRESETS)
def test_speech_of_none_of_the_languages_becomes_und_even_after_a_named_one(preset: str):
    speaker = Speaker()
    one = decider(PRESETS[preset])
    play(one, [speaker.says(clear("uz")) for _ in range(10)])
    answers = play(one, [speaker.rests(), *(speaker.says(clear("other")) for _ in range(15))])
    assert answers[-1].language == "und"
    assert [answer.language for answer in answers if answer.reason == "change"] == ["und"]


@pytest.mark.parametrize("preset", PRESETS)
def test_ten_times_the_same_window_weighs_no_more_than_once(preset: str):
    window = Speaker().says(clear("ru", 0.7))
    once, often = decider(PRESETS[preset]), decider(PRESETS[preset])
    single = once.update(window)
    repeated = [often.update(window) for _ in range(10)]
    assert repeated[-1].probabilities == single.probabilities


@pytest.mark.parametrize("preset", PRESETS)
def test_ten_windows_that_say_the_same_do_not_become_certainty(preset: str):
    speaker = Speaker()
    answers = play(decider(PRESETS[preset]), [speaker.says(clear("ru", 0.6)) for _ in range(10)])
    # ten independent windows would give 1 - 6e-7
    assert answers[-1].language == "ru"
    assert answers[-1].probabilities["ru"] < 0.995
    assert answers[-1].confidence < 0.995


def noisy_hour(seed: int, language: str, *, pauses: bool) -> Story:
    """Two-second windows every half second; each half second brings its own error.

    So errors last as long as windows overlap, and short windows err more often.
    """
    chance = random.Random(seed)  # noqa: S311 - a test's own noise
    speaker = Speaker(hop_s=0.5, length_s=2.0)
    story: Story = []
    heard: list[list[float]] = []
    # short windows after each pause err much more often: about one in a hundred either way
    error = 2.1 if pauses else 2.6
    for _ in range(7_200):
        heard = [*heard, [chance.gauss(5.0 * (label == language), error) for label in LABELS]][-4:]
        share = math.sqrt(len(heard) / 4.0)
        raw = {
            label: share * sum(half[place] for half in heard) / len(heard)
            for place, label in enumerate(LABELS)
        }
        total = sum(map(math.exp, raw.values()))
        story.append(speaker.says({label: math.exp(raw[label]) / total for label in LABELS}))
        if pauses and chance.random() < 0.06:
            story.append(speaker.rests(chance.uniform(0.5, 3.0)))
            heard = []
    return story


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("preset", ["balanced", "steady"])
@pytest.mark.parametrize("seed", range(3))
def test_an_hour_of_one_language_never_flips(seed: int, preset: str, *, pauses: bool):
    language = ("uz", "ru", "en")[seed]
    story = noisy_hour(seed, language, pauses=pauses)
    raw = [max(LABELS, key=lambda label: item.probabilities[label])
           for item in story if isinstance(item, Scores)]  # fmt: skip
    assert 0.005 < sum(label != language for label in raw) / len(raw) < 0.15
    answers = play(decider(PRESETS[preset]), story)
    named = [answer.language for answer in answers if answer.reason == "change"]
    assert set(named) <= {language, "und"}
    assert named[-1] == language
    assert len(named) <= 21  # `und` now and then, where several seconds are wrong


def test_a_silent_hour_says_nothing_after_zxx():
    speaker = Speaker()
    one = decider()
    play(one, [speaker.says(clear("uz")) for _ in range(10)])
    answers = play(one, [speaker.rests() for _ in range(3_600)])
    assert [(answer.reason, answer.language) for answer in answers] == [
        ("pause", "uz"),
        ("change", "zxx"),
    ]
    assert answers[1].since == 1_010.0
    assert answers[1].decided_at == 1_010.0 + BALANCED.no_speech_after_s
    assert one._belief == pytest.approx(one._prior, abs=1e-6)


def test_silence_before_any_speech_becomes_zxx():
    speaker = Speaker()
    answers = play(decider(), [speaker.rests() for _ in range(60)])
    assert [answer.language for answer in answers] == ["zxx"]
    assert answers[0].previous is None


def test_a_gap_ends_the_segment_and_decays_but_is_no_silence():
    speaker = Speaker()
    one = decider()
    before = play(one, [speaker.says(clear("uz")) for _ in range(10)])[-1]
    answers = play(one, [speaker.rests(3_600.0, gap=True)])
    assert [(answer.reason, answer.language) for answer in answers] == [("pause", "uz")]
    assert answers[0].probabilities["uz"] < before.probabilities["uz"] - 0.3


def test_a_short_pause_changes_belief_little_and_a_long_one_much():
    beliefs = []
    for rest_s in (0.5, 60.0, 1_000.0):
        speaker = Speaker()
        one = decider(replace(BALANCED, no_speech_after_s=2_000.0, confidence_slope=1.0))
        play(one, [speaker.says(clear("uz")) for _ in range(10)])
        answer = one.pause(speaker.rests(rest_s))
        assert answer is not None
        beliefs.append(answer.probabilities["uz"])
    assert beliefs[0] > 0.9
    assert beliefs == sorted(beliefs, reverse=True)
    assert beliefs[2] == pytest.approx((1.0 - BALANCED.und_prior) / 3, abs=1e-3)


def test_a_change_is_dated_back_to_where_the_evidence_turned():
    speaker = Speaker(hop_s=0.5, length_s=2.0)
    one = decider()
    play(one, [speaker.says(clear("uz")) for _ in range(20)])
    turned = speaker.at
    # windows hold both languages while they straddle the change
    blend = [0.25, 0.5, 0.75, 1.0]
    story = []
    for step in range(20):
        share = blend[min(step, 3)]
        story.append(
            speaker.says(
                {
                    "uz": 0.94 * (1 - share) + 0.02 * share,
                    "ru": 0.94 * share + 0.02 * (1 - share),
                    "en": 0.02,
                    "other": 0.02,
                }
            )
        )
    change = next(answer for answer in play(one, story) if answer.language == "ru")
    assert change.reason == "change"
    assert change.previous == "uz"
    assert abs(change.since - turned) <= 0.75
    assert change.decided_at > turned
    assert change.speech_s == pytest.approx(change.decided_at - change.since)


def test_after_a_pause_a_change_is_dated_to_the_start_of_the_new_segment():
    speaker = Speaker()
    one = decider()
    play(one, [speaker.says(clear("uz")) for _ in range(10)])
    rest = speaker.rests(2.0)
    answers = play(one, [rest, *(speaker.says(clear("en")) for _ in range(5))])
    change = next(answer for answer in answers if answer.reason == "change")
    assert (change.language, change.since) == ("en", rest.end)


def test_the_first_clear_window_is_enough_to_name_a_language():
    answer = decider().update(Speaker().says(clear("en")))
    assert (answer.reason, answer.language, answer.previous) == ("change", "en", None)


def test_debounce_keeps_a_language_for_that_much_speech():
    slow = replace(BALANCED, min_dwell_s=0.0, debounce_s=3.0, confidence_slope=1.0)
    for numbers, least_s in ((replace(slow, debounce_s=0.0), 0.0), (slow, 3.0)):
        speaker = Speaker()
        one = decider(numbers)
        play(one, [speaker.says(clear("uz")) for _ in range(10)])
        play(one, [speaker.rests()])
        resumed = speaker.at
        answers = play(one, [speaker.says(clear("ru")) for _ in range(10)])
        change = next(answer for answer in answers if answer.language == "ru")
        reached = next(
            answer for answer in answers if answer.probabilities["ru"] >= slow.enter_threshold
        )
        assert reached.decided_at > resumed
        assert change.decided_at == reached.decided_at + least_s


def test_priors_of_the_source_count():
    speaker = Speaker()
    unsure = {"uz": 0.5, "ru": 0.46, "en": 0.02, "other": 0.02}
    ready = replace(BALANCED, first_enter_threshold=0.7)
    answer = decider(ready, priors={"uz": 8.0, "ru": 1.0, "en": 1.0}).update(speaker.says(unsure))
    assert answer.language == "uz"
    assert decider(ready).update(Speaker().says(unsure)).language == "und"


def test_what_the_model_calls_unknown_can_be_made_to_weigh_less():
    torn = {"uz": 0.3, "ru": 0.02, "en": 0.02, "other": 0.66}
    usual, lighter = Speaker(), Speaker()
    believing = play(
        decider(replace(BALANCED, und_weight=1.0)), [usual.says(torn) for _ in range(6)]
    )
    doubting = play(
        decider(replace(BALANCED, und_weight=0.1)), [lighter.says(torn) for _ in range(6)]
    )
    assert believing[-1].language == "und"
    assert doubting[-1].language == "uz"


def test_scores_that_are_no_numbers_say_nothing():
    speaker = Speaker()
    one = decider()
    before = play(one, [speaker.says(clear("uz")) for _ in range(5)])[-1]
    broken = speaker.says(clear("ru"))
    after = one.update(scored(broken.span, [math.nan] * 4))
    assert after.language == "uz"
    assert after.probabilities["uz"] <= before.probabilities["uz"]
    assert after.probabilities["ru"] < 0.2


def test_what_it_keeps_does_not_grow():
    one = decider()
    speaker = Speaker()
    play(one, [speaker.says(clear("uz")) for _ in range(50)])

    def size() -> int:
        return sum(
            len(value) for value in vars(one).values() if isinstance(value, (dict, tuple, list))
        )

    before = size()
    for turn in range(300):
        play(one, [speaker.says(clear("uz" if turn % 7 else "ru")), speaker.rests()])
    assert size() == before


def test_errors_say_what_can_be_done():
    with pytest.raises(ConfigError, match="candidates of x: the model does not know 'kk'"):
        decider(candidates=["kk"])
    with pytest.raises(ConfigError, match="priors of x"):
        decider(priors={"ru": -1.0})
    with pytest.raises(ConfigError, match="none of its candidates"):
        decider(candidates=["uz"], priors={"ru": 1.0})
    with pytest.raises(ConfigError, match=r"decision\.enter_threshold"):
        decider_settings("fast", enter_threshold=0.2)
    with pytest.raises(ConfigError, match="fast, balanced, steady"):
        decider_settings("slow")


def test_a_preset_takes_the_numbers_that_are_set():
    assert decider_settings("steady", enter_threshold=None, leave_threshold=0.1) == replace(
        PRESETS["steady"], leave_threshold=0.1
    )
    assert decider_settings() == BALANCED


@given(
    st.lists(st.floats(1e-12, 1.0), min_size=2, max_size=6),
    st.floats(0.01, 10.0),
)
@settings(max_examples=200, deadline=None)
def test_calibration_keeps_a_distribution_and_its_order(some: list[float], slope: float):
    belief = {str(place): value / sum(some) for place, value in enumerate(some)}
    published = published_probabilities(belief, slope)
    assert math.isclose(math.fsum(published.values()), 1.0, abs_tol=1e-12)
    ranked = sorted(belief, key=lambda state: belief[state])
    assert [published[state] for state in ranked] == sorted(published.values())


@given(stories(), st.sampled_from(sorted(PRESETS)))
@settings(max_examples=100, deadline=None)
def test_what_is_named_at_first_is_what_the_probabilities_say(story: Story, preset: str):
    for decision in play(decider(PRESETS[preset]), story):
        first = decision.reason == "change" and decision.previous in {None, "und", "zxx"}
        if first and decision.language not in {"und", "zxx"}:
            assert decision.confidence == max(decision.probabilities.values())
            assert decision.confidence > 0.5
