from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.decision.confidence import published_probabilities
from langidd.decision.decider import Decider
from langidd.decision.presets import PRESETS, DeciderSettings
from langidd.types import Pause, Scores, Span
from langidd_training.decisions.naive import ArgMax, LockOnFirst, MajorityOfLast
from langidd_training.decisions.picture import draw_picture
from langidd_training.decisions.replay import ScoredRecording, decide
from langidd_training.decisions.truth import Truth, TruthSpan
from langidd_training.decisions.tune import (
    FIGURES,
    Material,
    decider_points,
    draw,
    fit_confidence,
    naive_points,
    shortfall,
    table,
)
from tests.support.fake_model import CALIBRATION, scored

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ("uz", "ru", "en")


def conversation(seed: int, kind: str, turns: int) -> tuple[ScoredRecording, Truth]:
    """Windows of 2 s every second, noisy, over turns of 8-20 s with pauses between."""
    chance = random.Random(seed)  # noqa: S311 - a test's own noise
    items: list[Scores | Pause] = []
    spans, at, number = [], 1.0, 0
    language = chance.choice(LANGUAGES)
    drift = [0.0] * 4
    for segment in range(turns):
        if kind == "turns":
            language = chance.choice([one for one in LANGUAGES if one != language])
        start, length = at, chance.randint(8, 20)
        for second in range(length):
            at += 1.0
            drift = [0.5 * value + chance.gauss(0.0, 1.6) for value in drift]
            logits = np.array(drift, np.float32)
            logits[CALIBRATION.labels.index(language)] += 5.0
            span = Span(kind, number, max(start, at - 2.0), at, 1.0, segment, is_first=second == 0)
            items.append(scored(span, logits))
            number += 1
        spans.append(TruthSpan(start, at, language))
        items.append(Pause(at, at + 1.0))
        at += 1.0
    recording = ScoredRecording(f"{kind}-{seed}", tuple(items), at, 0.0, 0.0)
    return recording, Truth(tuple(spans))


@pytest.fixture(scope="module")
def material() -> Material:
    talks = [conversation(seed, kind, 12) for seed in range(6) for kind in ("one", "turns")]
    return Material(tuple(one for one, _ in talks), tuple(true for _, true in talks), CALIBRATION)


def windows(*languages: str) -> list[Scores]:
    return [
        scored(
            Span("x", number, number - 1.0, number + 1.0, 1.0, 0),
            [6.0 * (label == language) for label in CALIBRATION.labels],
        )
        for number, language in enumerate(languages)
    ]


def test_naive_rules_do_what_their_names_say():
    story = windows("uz", "uz", "ru", "uz", "ru", "ru", "ru", "other")

    def named(rule: ArgMax | LockOnFirst | MajorityOfLast) -> list[str]:
        return [rule.update(one).language for one in story]

    assert named(ArgMax("x", CALIBRATION)) == [
        "uz", "uz", "ru", "uz", "ru", "ru", "ru", "und",
    ]  # fmt: skip
    assert named(LockOnFirst("x", CALIBRATION)) == ["uz"] * 8
    assert named(MajorityOfLast("x", CALIBRATION)) == ["uz"] * 5 + ["ru"] * 3
    assert ArgMax("x", CALIBRATION).pause(Pause(0.0, 1.0)) is None


def test_lock_waits_for_a_window_that_is_sure():
    unsure = scored(windows("uz")[0].span, [1.0, 0.0, 0.0, 0.0])
    rule = LockOnFirst("x", CALIBRATION)
    assert [rule.update(one).language for one in (unsure, *windows("ru", "uz"))] == [
        "und",
        "ru",
        "ru",
    ]


def test_the_filter_beats_every_naive_rule_at_the_same_lag_or_sooner(material: Material):
    presets = {
        point.name: point.figures
        for point in decider_points(material, list(PRESETS.items()), jobs=1)
    }
    naive = {point.name: point.figures for point in naive_points(material)}
    for preset, rule in (("balanced", "raw arg-max"), ("balanced", "majority of last 3"),
                         ("steady", "majority of last 5")):  # fmt: skip
        assert presets[preset]["false_per_h"] < 0.6 * naive[rule]["false_per_h"]
    assert presets["balanced"]["lag_median_s"] <= naive["majority of last 3"]["lag_median_s"]
    assert presets["steady"]["lag_median_s"] <= naive["majority of last 5"]["lag_median_s"]
    assert math.isinf(naive["lock on first confident"]["lag_median_s"])


def test_a_sweep_in_processes_gives_what_one_process_gives(material: Material):
    some = [(str(index), one) for index, one in enumerate(draw(5, seed=1))]
    alone = list(decider_points(material, some, jobs=1))
    together = list(decider_points(material, some, jobs=2))
    for one, other in zip(alone, together, strict=True):
        assert (one.name, one.settings) == (other.name, other.settings)
        np.testing.assert_equal(dict(one.figures), dict(other.figures))


def test_picture_and_table_are_made(material: Material, tmp_path: Path):
    swept = list(decider_points(material, [("a", one) for one in draw(3, seed=2)], jobs=1))
    presets = list(decider_points(material, list(PRESETS.items()), jobs=1))
    naive = naive_points(material)
    draw_picture(tmp_path / "picture.png", swept, presets, naive)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert 10_000 < (tmp_path / "picture.png").stat().st_size < 150_000
    header, *rows = table([*presets, *naive, *swept]).splitlines()
    assert len(rows) == len(presets) + len(naive) + len(swept)
    assert all(len(row.split("\t")) == len(header.split("\t")) for row in rows)
    assert rows[0].startswith("fast\t")


def test_samples_are_the_same_for_the_same_seed():
    assert draw(20, seed=1) == draw(20, seed=1) != draw(20, seed=2)


def test_shortfall_is_nought_where_the_bars_hold_and_grows_with_what_is_missing():
    good = {
        "first_right_percent": 99.0, "first_median_s": 1.0, "first_90_s": 2.0, "recall_2s": 80.0,
        "recall_3s": 95.0, "false_clean_per_h": 1.0, "false_noisy_per_h": 5.0,
        "wrong_percent": 8.0, "named_in_vain_per_h": 0.0, "unknown_und_percent": 90.0,
    }  # fmt: skip
    assert set(good) <= {name for name, _, _ in FIGURES}
    assert shortfall(good) == 0.0
    assert 0.0 < shortfall({**good, "recall_2s": 70.0}) < shortfall({**good, "recall_2s": 40.0})
    assert shortfall({**good, "first_90_s": math.inf}) > 1.0


def test_confidence_is_fitted_to_how_often_it_was_right():
    chance = random.Random(5)  # noqa: S311 - a test's own noise
    named = []
    for _ in range(4_000):
        level = 1.0 / (1.0 + math.exp(-chance.uniform(-2.0, 6.0)))
        rest = chance.random()
        belief = {"uz": level, "ru": (1.0 - level) * rest, "und": (1.0 - level) * (1.0 - rest)}
        true = published_probabilities(belief, 0.6)["uz"]
        named.append((belief, "uz", chance.random() < true))
    assert fit_confidence(named) == pytest.approx(0.6, abs=0.05)


def test_a_preset_published_with_a_fit_keeps_its_changes(material: Material):
    recording = material.scored[1]
    plain = decide(recording, Decider("x", CALIBRATION, DeciderSettings()))
    fitted = decide(recording, Decider("x", CALIBRATION, DeciderSettings(confidence_slope=0.5)))
    assert [one.language for one in plain] == [one.language for one in fitted]
    assert [one.confidence for one in plain] != [one.confidence for one in fitted]
