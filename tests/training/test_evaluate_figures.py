"""Figures in which every voice has one vote, and the bars that they are held against."""

from __future__ import annotations

import numpy as np
import pytest

from langidd.types import Calibration
from langidd_training.evaluation.evaluate import Evaluation
from langidd_training.evaluation.figures import figures, split_figures
from langidd_training.report.tables import split_table
from tests.support.observations import LABELS, observations

CALIBRATION = Calibration(labels=LABELS, unknown=("other",), und_threshold=0.5)


def evaluation(
    rows: list[tuple[str, str, str, str, str]], baseline: Evaluation | None = None, **columns: str
) -> Evaluation:
    """Rows of (voice, corpus, language, locale, answer); the answer is certain."""
    logits = np.full((len(rows), len(LABELS)), -9.0)
    for row, (*_, answer) in enumerate(rows):
        logits[row, LABELS.index(answer)] = 9.0
    voice, corpus, language, locale, _ = zip(*rows, strict=True)
    table = observations(logits, language, corpus=corpus, speaker=voice, locale=locale, **columns)
    return Evaluation("m", "trimmed", CALIBRATION, table, {}, baseline)


def at_3_s(rows: list[tuple[str, str, str, str, str]]) -> dict[str, object]:
    return split_figures(evaluation(rows))["dev"]["lengths"]["3"]


def test_one_voice_of_many_clips_does_not_outvote_another():
    found = at_3_s([("a", "x", "uz", "uz", "uz")] * 9 + [("b", "x", "uz", "uz", "ru")])
    assert found["by_language"] == {"uz": 0.5}
    assert found["by_corpus"] == {"uz/x": 0.5}
    assert found["macro"] == 0.5
    assert found["calibration_error"] == pytest.approx(0.5, abs=1e-3)


def test_languages_that_are_missing_are_left_out_of_the_mean():
    found = at_3_s([("a", "x", "uz", "uz", "uz"), ("b", "y", "en", "en", "other")])
    assert found["macro"] == pytest.approx(1 / 2)
    assert found["strict"] == 0.5
    assert found["other_named"] is None
    assert found["auroc"] is None


def test_other_languages_that_are_named_are_counted_by_voice_and_turkic_ones_apart():
    found = at_3_s(
        [
            ("a", "x", "uz", "uz", "uz"),
            *[("k", "z", "other", "kk", "uz")] * 5,
            ("d", "z", "other", "de", "other"),
            ("f", "z", "other", "fr", "other"),
        ]
    )
    assert found["other_named"] == pytest.approx(1 / 3)
    assert found["turkic_named"] == 1.0


def test_the_worst_corpus_has_voices_enough_to_say_so():
    rows = [(f"v{number}", "large", "uz", "uz", "uz") for number in range(4)]
    rows += [("v4", "large", "uz", "uz", "ru"), ("w", "tiny", "uz", "uz", "ru")]
    assert at_3_s(rows)["worst_corpus"] == pytest.approx(0.8)


def test_other_languages_that_have_a_label_are_counted_where_they_get_it():
    labels = ("uz", "ru", "en", "no", "kk")
    logits = np.eye(5)[[3, 4, 0]] * 9
    table = observations(
        logits, ["other"] * 3, labels=labels, locale=["nb", "ru_", "ky"], targets=labels[:3]
    )
    found = split_figures(Evaluation("m", "trimmed", Calibration(labels), table))
    row = found["dev"]["lengths"]["3"]
    assert row["other_right"] == 1.0  # Norwegian; the other two have no label
    assert row["macro"] is None


def test_a_model_that_is_worse_than_the_baseline_does_not_meet_its_bar():
    right = [(f"v{number}", "x", "uz", "uz", "uz") for number in range(10)]
    wrong = [*right[1:], ("v0", "x", "uz", "uz", "ru")]
    found = figures(evaluation(wrong, evaluation(right, split="foreign"), split="foreign"))
    bars = {bar["bar"]: bar for bar in found["bars"]}
    assert not bars["baseline, 3 s"]["met"]
    assert bars["baseline, 3 s"]["got"] == pytest.approx(0.9)
    assert not bars["worst corpus"]["met"]
    found = figures(evaluation(right, evaluation(wrong, split="foreign"), split="foreign"))
    assert {bar["bar"] for bar in found["bars"] if not bar["met"]} == set()


def test_a_table_has_the_baseline_beside_the_model_and_corpora_as_columns():
    right = [("a", "x", "uz", "uz", "uz"), ("b", "y", "en", "en", "en")]
    wrong = [("a", "x", "uz", "uz", "ru"), ("b", "y", "en", "en", "en")]
    rows = split_table(figures(evaluation(right, evaluation(wrong))), "dev")
    head, model, baseline = rows
    assert [model[0], baseline[0]] == ["3 s", "baseline, 3 s"]
    assert head[-2:] == ["en/y", "uz/x"]
    assert model[-2:] == ["100.0", "100.0"]
    assert baseline[-2:] == ["100.0", "0.0"]
