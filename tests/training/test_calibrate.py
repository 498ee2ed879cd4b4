"""Calibration, on scores of which the right answer is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.errors import ModelError
from langidd.types import Calibration
from langidd_training.evaluation.calibrate import (
    best_threshold,
    cross_fitted,
    fit,
    halves,
    reliability_of,
    temperatures,
    with_temperatures,
    write_calibration,
)
from langidd_training.evaluation.observations import Observations, load_observations

if TYPE_CHECKING:
    from pathlib import Path


LABELS = ("uz", "ru", "en", "other")
COLUMNS = (
    *("duration_s", "language", "locale", "corpus", "speaker", "name"),
    *("material", "cut", "condition", "context"),
)


def made(rows: int = 4_000, scale: float = 1.0, cut: str = "1", seed: int = 0) -> Observations:
    """Answers that are calibrated once their logits are divided by `scale`."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (rows, len(LABELS)))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([draw.choice(LABELS, p=row) for row in chance])

    def column(text: str) -> np.ndarray:
        return np.array([text] * rows)

    return Observations(
        labels=LABELS,
        targets=LABELS[:3],
        logits=(logits * scale).astype(np.float32),
        duration_s=np.full(rows, float(cut)),
        language=truth,
        locale=truth,
        corpus=column("made"),
        speaker=np.array([f"speaker {number % 40}" for number in range(rows)]),
        name=column("clip"),
        material=column("clips"),
        cut=column(cut),
        condition=column("clean"),
        context=column("trimmed"),
    )


def both(first: Observations, second: Observations) -> Observations:
    from langidd_training.evaluation.observations import concatenate

    return concatenate([first, second])


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(scale: float):
    ((seconds, found),) = temperatures(made(scale=scale))
    assert seconds == 1.0
    assert found == pytest.approx(scale, rel=0.08)


def test_each_length_has_its_own_temperature():
    found = temperatures(both(made(scale=3.0, cut="1"), made(scale=1.5, cut="3", seed=1)))
    assert [seconds for seconds, _ in found] == [1.0, 3.0]
    assert [value for _, value in found] == pytest.approx([3.0, 1.5], rel=0.08)


def test_whether_it_is_a_language_has_a_temperature_of_its_own():
    """Scores that say too loudly whether, and not too loudly which."""
    rows = made()
    logits = rows.logits.astype(float)
    known = np.logaddexp.reduce(logits[:, :3], axis=1)
    logits[:, 3] = known + 2.5 * (logits[:, 3] - known)
    loud = Observations(
        rows.labels, rows.targets, logits.astype(np.float32), *[getattr(rows, n) for n in COLUMNS]
    )
    found = with_temperatures(loud, ["other"])
    assert found.temperatures[0][1] == pytest.approx(1.0, rel=0.08)
    assert found.unknown_temperatures[0][1] == pytest.approx(2.5, rel=0.08)
    assert reliability_of(loud, found).error < 0.02
    assert cross_fitted(loud).error < 0.03


def test_calibration_makes_confidence_true():
    overconfident = made(scale=3.0)
    found = fit(overconfident, ["other"])
    assert found.error_before > 0.10
    assert found.error < 0.03
    after = reliability_of(overconfident, found.calibration).error
    assert after < 0.03


def test_halves_share_no_speaker_and_do_not_move():
    rows = made()
    first = halves(rows)
    assert not set(rows.speaker[first]) & set(rows.speaker[~first])
    assert 0.4 < first.mean() < 0.6
    assert np.array_equal(first, halves(rows))


def test_cross_fitting_measures_on_other_speakers():
    """One half of the speakers is overconfident: the other half's temperature shows it."""
    rows = made(scale=1.0)
    first = halves(rows)
    logits = rows.logits.copy()
    logits[first] *= 4
    uneven = Observations(
        rows.labels,
        rows.targets,
        logits,
        *[getattr(rows, name) for name in COLUMNS],
    )
    assert cross_fitted(uneven).error > cross_fitted(rows).error + 0.05


def test_the_threshold_parts_known_from_unknown():
    rows = made(400)
    sure = rows.language != "other"
    logits = np.zeros((400, 4), np.float32)
    for number, label in enumerate(LABELS[:3]):
        logits[rows.language == label, number] = 4.0
    logits[~sure, 0] = 1.0  # the best language at 0.475
    parted = Observations(
        rows.labels,
        rows.targets,
        logits,
        *[getattr(rows, name) for name in COLUMNS],
    )
    threshold, accepted, rejected = best_threshold(parted, Calibration(labels=LABELS))
    assert 0.48 <= threshold <= 0.94
    assert (accepted, rejected) == (1.0, 1.0)


def test_without_unknown_languages_the_threshold_stays_in_the_middle():
    rows = made(400)
    known = rows.where(rows.language != "other")
    assert best_threshold(known, Calibration(labels=LABELS))[0] == 0.5


def test_config_keeps_what_is_not_calibration(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"d_model": 8, "langidd": {"context": "trimmed", "note": "kept"}}))
    calibration = Calibration(
        LABELS, ("other",), ((1.0, 1.4), (3.0, 1.1)), 0.62, unknown_temperatures=((1.0, 2.0),)
    )
    write_calibration(tmp_path, calibration)
    config = json.loads(path.read_text())
    assert config["d_model"] == 8
    assert config["langidd"] == {
        "context": "trimmed",
        "note": "kept",
        "format": 1,
        "unknown_labels": ["other"],
        "temperature": [[1.0, 1.4], [3.0, 1.1]],
        "unknown_temperature": [[1.0, 2.0]],
        "und_threshold": 0.62,
    }


def test_no_checkpoint_is_said_in_one_line(tmp_path: Path):
    with pytest.raises(ModelError, match=r"config.json: no checkpoint to calibrate"):
        write_calibration(tmp_path, Calibration(LABELS))


def test_scores_survive_the_disk(tmp_path: Path):
    rows = made(50)
    rows.save(tmp_path / "scores.npz")
    again = load_observations(tmp_path / "scores.npz")
    assert (again.labels, again.targets) == (rows.labels, rows.targets)
    assert np.array_equal(again.logits, rows.logits)
    assert list(again.speaker) == list(rows.speaker)


def test_among_the_languages_alone_it_is_calibrated_as_well():
    sure = made(scale=3.0)
    assert cross_fitted(sure, among_targets=True).error < 0.04
    plain = Calibration(labels=LABELS)
    assert reliability_of(sure.where(sure.language != "other"), plain).error > 0.1
    count = sum(cross_fitted(sure, among_targets=True).count)
    assert count == int(np.sum(sure.language != "other"))
