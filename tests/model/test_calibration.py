"""From logits to probabilities: which language, and whether it is one at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from langidd.errors import ModelError
from langidd.model.calibration import calibrated_probabilities, temperature
from langidd.types import Calibration

LABELS = ("uz", "ru", "en", "other")
PLAIN = Calibration(LABELS, ("other",), ((1.0, 1.5), (3.0, 0.5)))
TWO_QUESTIONS = Calibration(LABELS, ("other",), ((1.0, 1.5),), unknown_temperatures=((1.0, 3.0),))


def probabilities(
    logits: list[float], calibration: Calibration, duration_s: float = 1.0
) -> dict[str, float]:
    return calibrated_probabilities(np.array(logits, np.float32), duration_s, calibration)


def test_one_temperature_is_the_plain_softmax():
    logits = [2.0, 0.5, -1.0, 1.0]
    weights = [math.exp(logit / 1.5) for logit in logits]
    found = probabilities(logits, PLAIN)
    assert list(found) == list(LABELS)
    assert list(found.values()) == pytest.approx([weight / sum(weights) for weight in weights])
    same = Calibration(LABELS, ("other",), ((1.0, 1.5),), unknown_temperatures=((1.0, 1.5),))
    assert probabilities(logits, same) == pytest.approx(found)


def test_the_unknowns_temperature_moves_whether_and_not_which():
    logits = [2.0, 0.5, -1.0, 6.0]
    plain, asked = (probabilities(logits, one) for one in (PLAIN, TWO_QUESTIONS))
    assert plain["uz"] / plain["ru"] == pytest.approx(asked["uz"] / asked["ru"])
    assert asked["other"] < plain["other"]
    assert sum(asked.values()) == pytest.approx(1)
    even = math.log(sum(math.exp(logit / 1.5) for logit in logits[:3])) * 1.5
    halves = probabilities([*logits[:3], even], TWO_QUESTIONS)
    assert halves["other"] == pytest.approx(0.5)


@pytest.mark.parametrize("calibration", [PLAIN, TWO_QUESTIONS])
@pytest.mark.parametrize("logits", [[3e38, 0, 0, 0], [0, 0, 0, 3e38], [-3e38, -3e38, 0, -3e38]])
def test_the_greatest_scores_are_still_probabilities(calibration: Calibration, logits: list[float]):
    found = probabilities(logits, calibration)
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=lambda label: found[label]) == LABELS[int(np.argmax(logits))]


@pytest.mark.parametrize("calibration", [PLAIN, TWO_QUESTIONS])
def test_scores_that_are_no_numbers_say_nothing(calibration: Calibration):
    found = probabilities([math.nan, 1, 2, 3], calibration)
    assert list(found.values()) == [0.25] * 4


def test_scores_for_other_labels_are_refused():
    with pytest.raises(ModelError, match="3 scores for 4 labels"):
        probabilities([1, 2, 3], PLAIN)


def test_the_temperature_lies_between_its_neighbours():
    points = PLAIN.temperatures
    assert [temperature(points, seconds) for seconds in (0.2, 1.0, 2.0, 3.0, 9.0)] == pytest.approx(
        [1.5, 1.5, 1.0, 0.5, 0.5]
    )
