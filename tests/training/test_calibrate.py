"""Calibration, on scores of which the right answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.errors import ModelError
from langidd.model.whisper.openvino_engine import load_engine
from langidd.types import Calibration
from langidd_training.evaluation.calibrate import (
    Fit,
    adjusted,
    best_threshold,
    cross_fitted,
    fit,
    halves,
    voice_weights,
    write_calibration,
)
from langidd_training.evaluation.observations import (
    Observations,
    concatenate,
    load_observations,
)
from langidd_training.fit.export import export
from langidd_training.fit.network import open_network
from tests.support.observations import LABELS, observations
from tests.support.tiny_whisper import write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Calibration(LABELS)


def made(
    rows: int = 4_000,
    scale: float = 1.0,
    cut: str = "1",
    seed: int = 0,
    biases: tuple[float, ...] = (0, 0, 0, 0),
) -> Observations:
    """Scores that are calibrated once divided by `scale`, after `biases` were taken away."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (rows, len(LABELS)))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = [draw.choice(LABELS, p=row) for row in chance]
    # The classes in equal number: weights by language change nothing.
    counts = min(truth.count(label) for label in LABELS)
    kept = np.concatenate([np.flatnonzero(np.array(truth) == one)[:counts] for one in LABELS])
    speakers = [f"speaker {number % 400}" for number in kept]
    return observations(
        (logits * scale + np.array(biases))[kept],
        [truth[row] for row in kept],
        speaker=speakers,
        cut=cut,
    )


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(scale: float):
    found = fit(made(scale=scale), PLAIN, with_biases=False)
    ((seconds, value),) = found.calibration.temperatures
    assert seconds == 1.0
    assert value == pytest.approx(scale, rel=0.1)
    assert not any(found.biases.values())


def test_each_length_has_its_own_temperature():
    table = concatenate([made(scale=3.0, cut="1"), made(scale=1.5, cut="3", seed=1)])
    points = fit(table, PLAIN, with_biases=False).calibration.temperatures
    assert [seconds for seconds, _ in points] == [1.0, 3.0]
    assert [value for _, value in points] == pytest.approx([3.0, 1.5], rel=0.1)


def test_the_bias_that_a_language_lacks_is_found():
    table = made(biases=(0.0, -2.0, 1.0, 0.0))
    found = fit(table, PLAIN, with_biases=True)
    assert found.biases["ru"] - found.biases["uz"] == pytest.approx(2.0, abs=0.25)
    assert found.biases["en"] - found.biases["uz"] == pytest.approx(-1.0, abs=0.25)
    again = fit(adjusted(table, found.biases), found.calibration, with_biases=True)
    assert max(map(abs, again.biases.values())) < 0.1


def test_calibration_makes_confidence_true():
    found = fit(made(scale=3.0), PLAIN, with_biases=True)
    assert found.error_before > 0.10
    assert found.error < 0.05


def test_cross_fitting_measures_on_other_speakers():
    """One half of the speakers is overconfident: the other half's temperature shows it."""
    rows = made()
    logits = rows.logits.copy()
    logits[halves(rows)] *= 4
    uneven = replace(rows, logits=logits)
    plain = cross_fitted(rows, PLAIN, with_biases=False).error
    assert cross_fitted(uneven, PLAIN, with_biases=False).error > plain + 0.05


def test_halves_share_no_speaker_and_do_not_move():
    rows = made()
    first = halves(rows)
    assert not set(rows.speaker[first]) & set(rows.speaker[~first])
    assert 0.4 < first.mean() < 0.6
    assert np.array_equal(first, halves(rows))


def test_languages_weigh_the_same_and_in_them_every_voice():
    table = observations(
        np.zeros((6, 4)),
        ["uz", "uz", "uz", "ru", "ru", "ru"],
        corpus=["a", "a", "a", "b", "c", "c"],
        speaker=["1", "1", "2", "3", "4", "5"],
    )
    weights = voice_weights(table)
    assert weights[:3].sum() == pytest.approx(1)
    assert weights[3:].sum() == pytest.approx(1)
    assert weights[:3] == pytest.approx([0.25, 0.25, 0.5])
    # A corpus of two voices weighs as the root of two.
    assert weights[4:].sum() / weights[3] == pytest.approx(2**0.5)


def test_the_threshold_parts_known_from_unknown():
    language = ["uz", "ru", "en", "other"] * 50
    logits = np.zeros((200, 4))
    for row, name in enumerate(language):
        if name != "other":
            logits[row, LABELS.index(name)] = 4.0
        else:
            logits[row, 0] = 1.0  # the best language at 0.475
    threshold, accepted, rejected = best_threshold(observations(logits, language), PLAIN)
    assert 0.48 <= threshold <= 0.94
    assert (accepted, rejected) == pytest.approx((1.0, 1.0))


def test_without_unknown_languages_the_threshold_stays_in_the_middle():
    rows = made(400)
    assert best_threshold(rows.where(rows.language != "other"), PLAIN)[0] == 0.5


def test_a_model_without_another_label_is_calibrated_on_its_languages():
    rows = made()
    three = replace(rows, labels=LABELS[:3], logits=rows.logits[:, :3] * 2)
    found = fit(three, Calibration(LABELS[:3]), with_biases=False)
    ((_, value),) = found.calibration.temperatures
    assert value == pytest.approx(2.0, rel=0.15)


def test_biases_move_the_logits_and_nothing_else_must_know_of_them(tmp_path: Path):
    network = open_network(str(write_tiny_whisper(tmp_path / "w")), ("uz", "ru", "en"))
    place = export(network.config, network.state_dict(), tmp_path / "model")
    sound = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    before = load_engine(str(place), precision="f32").logits([sound])[0]
    calibration = Calibration(("uz", "ru", "en", "tr", "az"), (), ((1.0, 1.4),), 0.62)
    biases = {"uz": 0.8, "ru": -0.5, "en": 0.0}
    write_calibration(place, Fit(biases, calibration, 0, 0, 0, 0))
    engine = load_engine(str(place), precision="f32")
    moved = engine.logits([sound])[0] - before
    assert moved == pytest.approx([0.8, -0.5, 0, 0, 0], abs=5e-3)
    assert engine.calibration == replace(calibration, candidates=("uz", "ru", "en"))


def test_config_keeps_what_is_not_calibration(tmp_path: Path):
    path = tmp_path / "config.json"
    block = {"context": "trimmed", "note": "kept", "unknown_temperature": [[1.0, 2.0]]}
    path.write_text(json.dumps({"d_model": 8, "langidd": block}))
    calibration = Calibration(LABELS, ("other",), ((1.0, 1.4), (3.0, 1.1)), 0.62)
    write_calibration(tmp_path, Fit({"uz": 0.0}, calibration, 0, 0, 0, 0))
    config = json.loads(path.read_text())
    assert config["d_model"] == 8
    assert config["langidd"] == {
        "context": "trimmed",
        "note": "kept",
        "format": 1,
        "unknown_labels": ["other"],
        "temperature": [[1.0, 1.4], [3.0, 1.1]],
        "und_threshold": 0.62,
    }


def test_no_checkpoint_is_said_in_one_line(tmp_path: Path):
    with pytest.raises(ModelError, match=r"config.json: no checkpoint to calibrate"):
        write_calibration(tmp_path, Fit({}, PLAIN, 0, 0, 0, 0))


def test_scores_survive_the_disk(tmp_path: Path):
    rows = made(200)
    rows.save(tmp_path / "scores.npz")
    again = load_observations(tmp_path / "scores.npz")
    assert (again.labels, again.targets) == (rows.labels, rows.targets)
    assert np.array_equal(again.logits, rows.logits)
    assert list(again.speaker) == list(rows.speaker)
