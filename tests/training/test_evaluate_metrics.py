"""The figures, against values worked out by hand or by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from langidd.model.calibration import calibrated_probabilities
from langidd.types import Calibration, Span, Temperatures
from langidd_training.evaluation.figures import balanced_elsewhere
from langidd_training.evaluation.metrics import (
    auroc,
    bootstrap_by_speaker,
    calibrated,
    confusion,
    macro_accuracy,
    macro_f1,
    recalls,
    reliability,
)
from langidd_training.evaluation.observations import Observations

LANGUAGES = ("uz", "ru", "en")
TRUTH = np.array(["uz"] * 8 + ["ru"] * 2 + ["en"] * 2)
PREDICTED = np.array(["uz"] * 8 + ["ru", "uz"] + ["en", "en"])


def test_macro_accuracy_gives_each_language_the_same_weight():
    assert recalls(TRUTH, PREDICTED, LANGUAGES) == {"uz": 1.0, "ru": 0.5, "en": 1.0}
    assert macro_accuracy(TRUTH, PREDICTED, LANGUAGES) == pytest.approx((1 + 0.5 + 1) / 3)
    assert macro_accuracy(TRUTH, PREDICTED, LANGUAGES) == pytest.approx(
        balanced_accuracy_score(TRUTH, PREDICTED)
    )


def test_f1_counts_false_alarms_on_unknown_languages():
    # uz: precision 8/9, recall 1; ru: 1, 1/2; en: 1, 1.
    closed = (2 * (8 / 9) / (8 / 9 + 1) + 2 * 0.5 / 1.5 + 1) / 3
    assert macro_f1(TRUTH, PREDICTED, LANGUAGES) == pytest.approx(closed)
    truth = np.concatenate([TRUTH, ["other"] * 9])
    predicted = np.concatenate([PREDICTED, ["uz"] * 9])
    opened = (2 * (8 / 18) / (8 / 18 + 1) + 2 * 0.5 / 1.5 + 1) / 3
    assert macro_f1(truth, predicted, LANGUAGES) == pytest.approx(opened)


def test_confusion_is_scikit_learns():
    columns = [*LANGUAGES, "other"]
    ours = confusion(TRUTH, PREDICTED, columns, columns)
    assert ours == confusion_matrix(TRUTH, PREDICTED, labels=columns).tolist()


def test_reliability_by_hand():
    # Two bins of 15: (0.9333, 1.0] holds three at 0.95, one of them wrong; 0.5 is alone.
    found = reliability(np.array([0.95, 0.95, 0.95, 0.5]), np.array([True, True, False, True]))
    assert found.count == [1, 3]
    assert found.accuracy == pytest.approx([1.0, 2 / 3])
    assert found.error == pytest.approx(0.25 * 0.5 + 0.75 * (0.95 - 2 / 3))


def test_certain_and_right_has_no_calibration_error():
    assert reliability(np.ones(10), np.ones(10, bool)).error == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_every_row_is_in_one_bin(rows: list[tuple[float, bool]]):
    confidence, right = (np.array(column) for column in zip(*rows, strict=True))
    found = reliability(confidence, right)
    assert sum(found.count) == len(rows)
    assert 0 <= found.error <= 1
    # One bin's worth: the mean distance is at least the distance of the means.
    assert found.error >= abs(confidence.mean() - right.mean()) - 1e-9


def test_auroc_by_hand_and_without_one_kind():
    unknown = np.array([True, True, False, False])
    # Of the four pairs (unknown, known), three are in order.
    assert auroc(unknown, np.array([0.9, 0.4, 0.5, 0.1])) == pytest.approx(0.75)
    assert auroc(np.zeros(3, bool), np.arange(3.0)) is None


def test_temperature_of_the_rows_own_duration():
    calibration = Calibration(labels=("uz", "ru"), temperatures=((1.0, 2.0), (3.0, 1.0)))
    logits = np.array([[2.0, 0.0]] * 3, np.float32)
    chance = calibrated(logits, np.array([1.0, 2.0, 3.0]), calibration)
    assert chance[:, 0] == pytest.approx([1 / (1 + np.exp(-2 / t)) for t in (2.0, 1.5, 1.0)])
    assert chance.sum(axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("unknown_temperatures", [(), ((1.0, 2.0), (3.0, 1.5))])
def test_the_figures_and_the_decider_have_the_same_probabilities(
    unknown_temperatures: Temperatures,
):
    labels = ("uz", "ru", "other", "noise")
    calibration = Calibration(
        labels,
        unknown=("other", "noise"),
        temperatures=((1.0, 1.3), (3.0, 0.6)),
        unknown_temperatures=unknown_temperatures,
    )
    logits = np.random.default_rng(3).normal(0, 4, (20, 4)).astype(np.float32)
    seconds = np.linspace(0.5, 4, 20)
    chance = calibrated(logits, seconds, calibration)
    for row, own, duration_s in zip(chance, logits, seconds, strict=True):
        span = Span("x", 0, 10.0, 10.0 + float(duration_s), float(duration_s), 0, is_first=True)
        heard = calibrated_probabilities(own, span.duration_s, calibration)
        assert [heard[label] for label in labels] == pytest.approx(row.tolist(), abs=1e-9)
        assert sum(heard.values()) == pytest.approx(1)


def test_interval_is_wide_where_one_speaker_decides():
    # 40 clips, half of them wrong: of 40 speakers, or all the wrong ones of one speaker.
    truth = np.array(["uz"] * 40)
    predicted = np.array(["uz", "ru"] * 20)
    many = np.array([str(number) for number in range(40)])
    few = np.where(predicted == "uz", "right", "wrong")
    low, high = bootstrap_by_speaker(truth, predicted, many, ["uz"])
    assert 0.3 < low < 0.5 < high < 0.7
    assert bootstrap_by_speaker(truth, predicted, few, ["uz"]) == (0.0, 1.0)


def test_interval_is_the_same_each_time():
    speakers = np.array([str(number % 5) for number in range(len(TRUTH))])
    first = bootstrap_by_speaker(TRUTH, PREDICTED, speakers, LANGUAGES)
    assert first == bootstrap_by_speaker(TRUTH, PREDICTED, speakers, LANGUAGES)
    assert first[0] <= macro_accuracy(TRUTH, PREDICTED, LANGUAGES) <= first[1]


def one_bias_short(speakers: int) -> Observations:
    """Clips that are told apart rightly, were it not for 3 that every `ru` score lacks."""
    labels = ("uz", "ru", "en")
    draw = np.random.default_rng(0)
    rows = [
        (language, f"{language}-{speaker}", cut)
        for cut in ("1", "2", "3")
        for language in labels
        for speaker in range(speakers)
    ]
    language, speaker, cut = (np.array(column) for column in zip(*rows, strict=True))
    right = np.array([[2.0 * (name == label) for label in labels] for name in language])
    logits = right + draw.normal(0, 0.3, right.shape) - np.array([0.0, 3.0, 0.0])
    values = {"corpus": "c", "material": "joined", "condition": "clean", "context": "trimmed"}
    same = {name: np.full(len(rows), value) for name, value in values.items()}
    return Observations(
        labels,
        labels,
        logits.astype(np.float32),
        duration_s=cut.astype(float),
        language=language,
        locale=language,
        speaker=speaker,
        name=speaker,
        cut=cut,
        **same,
    )


def test_classes_are_balanced_on_other_speakers_than_they_are_measured_on():
    table = one_bias_short(speakers=16)
    raw = np.array(table.labels)[table.logits.argmax(axis=1)]
    assert macro_accuracy(table.language, raw, table.labels) < 0.7
    found = balanced_elsewhere(table, "trimmed")
    assert list(found) == ["1", "2", "3"]
    assert min(found.values()) > 0.95
    assert balanced_elsewhere(one_bias_short(speakers=1), "trimmed") == {}
