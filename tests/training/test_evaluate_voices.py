"""Figures in which every voice has one vote."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from langidd.types import Calibration
from langidd_training.cli import app
from langidd_training.evaluation.evaluate import Evaluation
from langidd_training.evaluation.observations import Observations
from langidd_training.evaluation.voices import voice_figures

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("uz", "ru", "en", "other")


def evaluation(rows: list[tuple[str, str, str, str, str]]) -> Evaluation:
    """Rows of (voice, corpus, language, locale, answer); the answer is certain."""
    logits = np.full((len(rows), len(LABELS)), -9.0, np.float32)
    for row, (*_, answer) in enumerate(rows):
        logits[row, LABELS.index(answer)] = 9.0
    voice, corpus, language, locale, _ = (np.array(column) for column in zip(*rows, strict=True))

    def everywhere(text: str) -> np.ndarray:
        return np.array([text] * len(rows))

    table = Observations(
        labels=LABELS,
        targets=LABELS[:3],
        logits=logits,
        duration_s=np.full(len(rows), 3.0),
        language=language,
        locale=locale,
        corpus=corpus,
        speaker=voice,
        name=voice,
        material=everywhere("joined"),
        cut=everywhere("3"),
        condition=everywhere("clean"),
        context=everywhere("trimmed"),
    )
    calibration = Calibration(labels=LABELS, unknown=("other",), und_threshold=0.5)
    return Evaluation("m", "trimmed", calibration, table, {})


def test_one_voice_of_many_clips_does_not_outvote_another():
    rows = [("a", "x", "uz", "uz", "uz")] * 9 + [("b", "x", "uz", "uz", "ru")]
    found = voice_figures(evaluation(rows), ["3"])["3"]
    assert found["by_language"] == {"uz": 0.5}
    assert found["by_corpus"] == {"uz/x": 0.5}
    assert found["macro"] == 0.5
    assert found["calibration_error"] == pytest.approx(0.5, abs=1e-3)


def test_languages_that_are_missing_are_left_out_of_the_mean():
    rows = [("a", "x", "uz", "uz", "uz"), ("b", "y", "en", "en", "other")]
    found = voice_figures(evaluation(rows), ["3", "5"])
    assert list(found) == ["3"]
    assert found["3"]["macro"] == pytest.approx(1 / 2)
    assert found["3"]["strict"] == 0.5
    assert found["3"]["other_named"] is None
    assert found["3"]["auroc"] is None


def test_other_languages_that_are_named_are_counted_by_voice_and_turkic_ones_apart():
    rows = [
        ("a", "x", "uz", "uz", "uz"),
        *[("k", "z", "other", "kk", "uz")] * 5,
        ("d", "z", "other", "de", "other"),
        ("f", "z", "other", "fr", "other"),
    ]
    found = voice_figures(evaluation(rows), ["3"])["3"]
    assert found["other_named"] == pytest.approx(1 / 3)
    assert found["turkic_named"] == 1.0


def test_the_worst_corpus_has_voices_enough_to_say_so():
    rows = [(f"v{number}", "large", "uz", "uz", "uz") for number in range(4)]
    rows += [("v4", "large", "uz", "uz", "ru"), ("w", "tiny", "uz", "uz", "ru")]
    found = voice_figures(evaluation(rows), ["3"])["3"]
    assert found["worst_corpus"] == pytest.approx(0.8)


def test_any_split_is_evaluated_and_printed_as_one_object(speech: Path, tmp_path: Path):
    for language in ("uz", "en"):
        lines = (speech / language / "dev.tsv").read_text().splitlines(keepends=True)[:6]
        (tmp_path / language / "clips").mkdir(parents=True)
        (tmp_path / language / "abroad.tsv").write_text("".join(lines))
        place = lines[0].rstrip().split("\t").index("path")
        for line in lines[1:]:
            name = line.split("\t")[place].strip()
            shutil.copy(speech / language / "clips" / name, tmp_path / language / "clips" / name)
    said = CliRunner().invoke(
        app,
        ["evaluate", "--data", str(tmp_path), "--split", "abroad", "--seconds", "1,2", "--json"],
    )
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert found["1"]["by_language"].keys() == {"uz", "en"}
    assert found["1"]["macro"] > 0.5


@pytest.mark.parametrize("seconds", ["", "two", "0", "31", "1,,2"])
def test_lengths_that_are_none_are_refused(seconds: str, tmp_path: Path):
    said = CliRunner().invoke(app, ["evaluate", "--data", str(tmp_path), "--seconds", seconds])
    assert said.exit_code == 2
    assert "give lengths" in said.stderr
