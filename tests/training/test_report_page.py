"""The page and the card, from an evaluation that is made up."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.errors import LangiddError
from langidd.types import Calibration
from langidd_training.data.common_voice import COLUMNS
from langidd_training.evaluation.calibrate import fit
from langidd_training.evaluation.evaluate import Evaluation
from langidd_training.evaluation.figures import figures
from langidd_training.evaluation.observations import Observations
from langidd_training.evaluation.results import write_results
from langidd_training.report.pictures import training_curves
from langidd_training.report.report import Material, training_history, write_report

if TYPE_CHECKING:
    from pathlib import Path


LABELS = ("uz", "ru", "en", "other")
CUTS = ("1", "2", "3", "5", "whole")


def made() -> Observations:
    """A model that is right on all but every tenth clip; Kazakh is called Uzbek."""
    languages = np.array(["uz", "ru", "en", "other"] * 10 * len(CUTS))
    rows = len(languages)
    logits = np.zeros((rows, 4), np.float32)
    for row, language in enumerate(languages):
        logits[row, LABELS.index(language)] = 4.0
        if row % 10 == 7:
            logits[row, (LABELS.index(language) + 1) % 4] = 6.0

    def column(text: str) -> np.ndarray:
        return np.array([text] * rows)

    return Observations(
        labels=LABELS,
        targets=LABELS[:3],
        logits=logits,
        duration_s=np.full(rows, 3.0),
        language=languages,
        locale=np.where(languages == "other", "kk", languages),
        corpus=column("made <corpus>"),
        speaker=np.array([f"{row % 7}" for row in range(rows)]),
        name=column("clip"),
        material=column("clips"),
        cut=np.repeat(CUTS, rows // len(CUTS)),
        condition=column("clean"),
        context=column("trimmed"),
    )


@pytest.fixture
def evaluation(tmp_path: Path):
    table = made()
    calibration = fit(table, ["other"]).calibration
    found = figures(Evaluation("made", "trimmed", calibration, table, {"silent": 2}))
    write_results(tmp_path / "evaluation", found, table)
    return tmp_path / "evaluation"


def test_page_and_card_say_the_same_figures(evaluation: Path, tmp_path: Path):
    out = tmp_path / "report"
    notes = tmp_path / "notes.md"
    notes.write_text("## Licences\n\nAs each corpus says.\n")
    run = tmp_path / "run" / "checkpoint-10"
    run.mkdir(parents=True)
    history = [{"step": 5, "loss": 1.0}, {"step": 10, "eval_loss": 0.7, "eval_3s_macro": 0.9}]
    (run / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    (run.parent / "recipe.json").write_text(
        json.dumps({"checkpoint": "/home/me/whisper-base", "sampling": {"padded": 0.1}})
    )
    speech = (np.random.default_rng(0).standard_normal(16_000) * 0.1).astype(np.float32)
    written = write_report(
        Material(evaluation, run.parent, None, (speech, "noise"), notes, (evaluation,)), out
    )
    assert {path.name for path in written} == {
        *("report.html", "README.md", "lengths.png", "confusion.png", "reliability.png"),
        *("unknown.png", "training.png", "example.png"),
    }
    page, card = (out / "report.html").read_text(), (out / "README.md").read_text()
    accuracy = json.loads((evaluation / "evaluation.json").read_text())["lengths"]["clips"]["3"]
    shown = f"{100 * accuracy['accuracy']:.1f}"
    for text in (page, card):
        assert shown in text
        assert "accuracy, 3 s, telephone" in text
        assert "/home/me" not in text
        assert "whisper-base" in text
    assert "made &lt;corpus&gt;" in page  # what comes from a corpus is text, not HTML
    assert card.rstrip().endswith("As each corpus says.")
    assert page.count("<img") == 6


def test_tables_in_the_card_have_as_many_cells_as_their_head(evaluation: Path, tmp_path: Path):
    write_report(Material(evaluation), tmp_path / "report")
    lines = (tmp_path / "report" / "README.md").read_text().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 25
    for before, line in itertools.pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|")


def test_no_evaluation_is_said_in_one_line(tmp_path: Path):
    with pytest.raises(LangiddError, match=r"evaluation.json: no evaluation; `langidd-train eval"):
        write_report(Material(tmp_path), tmp_path / "out")


def test_the_longest_history_of_a_run_is_taken(tmp_path: Path):
    for steps in (3, 7, 5):
        place = tmp_path / "checkpoints" / f"checkpoint-{steps}"
        place.mkdir(parents=True)
        history = [{"step": step, "loss": 1 / (step + 1)} for step in range(steps)]
        (place / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    assert len(training_history(tmp_path)) == 7
    assert training_history(tmp_path / "nothing") == []


def test_curves_show_what_was_logged():
    history = [{"step": step, "loss": 2 - step / 100} for step in range(0, 100, 5)]
    history += [{"step": 50, "eval_loss": 1.4, "eval_3s_macro": 0.8, "eval_runtime": 3.0}]
    left, right = training_curves(history).axes
    logged = left.lines[0].get_xydata()
    assert logged[0].tolist() == [0, 2]
    assert len(logged) == 20
    assert [line.get_label() for line in right.lines] == ["3s macro"]
    assert right.lines[0].get_ydata().tolist() == [80]


def test_calibration_travels_with_the_figures(evaluation: Path):
    found = json.loads((evaluation / "evaluation.json").read_text())
    assert Calibration(LABELS, temperatures=tuple(map(tuple, found["temperature"]))).temperatures
    assert found["left_out"] == {"silent": 2}
    assert len(COLUMNS) == 5
