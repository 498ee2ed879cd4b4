"""Calibrated probabilities, reliability and ROC, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langidd.model.calibration import calibrated_probabilities
from langidd.types import Calibration, Span, Temperatures
from langidd_training.evaluation.metrics import auroc, calibrated, reliability


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
        wanted = calibrated_probabilities(own, span.duration_s, calibration)
        assert [wanted[label] for label in labels] == pytest.approx(row.tolist(), abs=1e-9)
        assert sum(wanted.values()) == pytest.approx(1)
