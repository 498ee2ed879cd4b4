"""`langidd-train evaluate`, calibrate and report, end to end with a tiny model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from transformers import (
    AutoModelForAudioClassification,
    WhisperConfig,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)
from typer.testing import CliRunner

from langidd.errors import ModelError
from langidd.model.whisper.torch_engine import load_classifier
from langidd_training.cli import app
from langidd_training.evaluation.bars import ACCURACY_BARS
from langidd_training.evaluation.evaluate import Interview, Plan, evaluate
from langidd_training.evaluation.figures import figures
from langidd_training.evaluation.listeners import open_listener
from langidd_training.evaluation.observations import Setting, load_observations
from langidd_training.evaluation.passages import read_passages

if TYPE_CHECKING:
    from pathlib import Path

    Ran = tuple[Path, dict[str, Any], str]


LABELS = ("uz", "ru", "en", "other")
TOKENS = {"<|en|>": 5, "<|ru|>": 6, "<|uz|>": 7, "<|tr|>": 8}
SMALL = {
    "d_model": 32,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 64,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "max_target_positions": 8,
    "init_std": 0.3,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory):
    """A tiny classifier with `other`, random but the same each time."""
    import torch

    torch.manual_seed(3)
    config = WhisperConfig(
        **SMALL,
        classifier_proj_size=16,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    config.langidd = {"format": 1, "context": "trimmed", "unknown_labels": ["other"]}
    place = tmp_path_factory.mktemp("tiny")
    WhisperForAudioClassification(config).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def ran(checkpoint: Path, corpora: Path, tmp_path_factory: pytest.TempPathFactory):
    """What one command line wrote: JSON, text and scores."""
    out = tmp_path_factory.mktemp("evaluation")
    result = CliRunner().invoke(
        app,
        [
            *("evaluate", "--model", str(checkpoint), "--data", str(corpora), "--limit", "2"),
            *("--out", str(out), "--threads", "1"),
        ],
    )
    assert result.exit_code == 0, result.output
    return out, json.loads((out / "evaluation.json").read_text()), result.output


def test_evaluation_says_everything_that_was_asked(ran: Ran):
    _, found, printed = ran
    assert list(found["lengths"]["clips"]) == list(ACCURACY_BARS)
    assert list(found["conditions"]["clips"]) == ["clean", "telephone", "noise-10dB", "opus-8k"]
    assert {"uz/telegram-uz", "ru/clips-ru", "other/learn_kazakh"} <= set(found["corpora"])
    assert {"kk", "tk", "fr"} <= set(found["others"])
    assert set(found["espeak"]["called"]) == {"uz", "ru", "en", "kk", "tr"}
    assert {"uz through gsm", "uz through mu-law", "en through opus-24k"} <= set(
        found["foreign_codecs"]
    )
    assert {"trimmed", "padded", "difference"} <= set(found["contexts"]["clips"])
    assert len(found["bars"]) == 12
    assert "Other languages" in printed
    assert "…" not in printed


def test_figures_follow_from_the_kept_scores(ran: Ran):
    out, found, _ = ran
    table = load_observations(out / "scores.npz")
    rows = table.at(Setting("clips", "3", context="trimmed"))
    known = rows.where(rows.language != "other")
    best = np.array(LABELS)[known.logits[:, :3].argmax(axis=1)]
    recall = [np.mean(best[known.language == name] == name) for name in LABELS[:3]]
    assert found["lengths"]["clips"]["3"]["accuracy"] == pytest.approx(np.mean(recall), abs=1e-5)
    strict = np.array(LABELS)[known.logits.argmax(axis=1)]
    recall = [np.mean(strict[known.language == name] == name) for name in LABELS[:3]]
    assert found["lengths"]["clips"]["3"]["strict_accuracy"] == pytest.approx(
        np.mean(recall), abs=1e-5
    )


def test_scores_are_those_of_the_classifier(ran: Ran, checkpoint: Path, corpora: Path):
    """Batches, memory of what was heard and sorting change no score."""
    out, _, _ = ran
    rows = load_observations(out / "scores.npz").at(Setting("clips", "2", context="trimmed"))
    heard = read_passages([corpora], LABELS[:3], limit=2).passages
    classifier = load_classifier(str(checkpoint), threads=1)
    for index in range(0, len(heard), 9):
        assert str(rows.name[index]) == heard[index].name
        alone = classifier.logits([heard[index].cut(2.0).samples])[0]
        assert rows.logits[index] == pytest.approx(alone, abs=1e-4)


def test_the_same_sound_is_heard_once(checkpoint: Path, speech: Path):
    listener = load_classifier(str(checkpoint), threads=1)
    heard = read_passages([speech / "uz"], LABELS[:3], limit=2).passages
    lines: list[str] = []
    interview = Interview(listener, LABELS[:3])
    setting = Setting("clips", "1", context="trimmed")
    first = interview.ask(heard, setting, lines.append)
    again = interview.ask(heard * 2, setting, lines.append)
    assert "2 to hear" in lines[0]
    assert "4 passages, 0 to hear" in lines[1]
    assert np.array_equal(again.logits, np.concatenate([first.logits] * 2))


def test_calibrate_and_report_take_it_from_there(ran: Ran, checkpoint: Path, tmp_path: Path):
    out, _, _ = ran
    runner = CliRunner()
    before = AutoModelForAudioClassification.from_pretrained(checkpoint).config
    result = runner.invoke(
        app, ["calibrate", "--model", str(checkpoint), "--scores", str(out / "scores.npz")]
    )
    assert result.exit_code == 0, result.output
    assert "calibration error" in result.output
    calibration = load_classifier(str(checkpoint), threads=1).calibration
    assert calibration.unknown == ("other",)
    assert all(temperature > 0 for _, temperature in calibration.temperatures)
    after = AutoModelForAudioClassification.from_pretrained(checkpoint).config
    assert after.id2label == before.id2label
    assert after.langidd["context"] == "trimmed"

    result = runner.invoke(
        app,
        [
            *("evaluate", "--model", str(checkpoint), "--scores", str(out / "scores.npz")),
            *("--into", str(tmp_path / "evaluation.json")),
        ],
    )
    assert result.exit_code == 0, result.output
    again = json.loads((tmp_path / "evaluation.json").read_text())
    first = json.loads((out / "evaluation.json").read_text())
    assert again["temperature"] == [list(point) for point in calibration.temperatures]
    assert again["lengths"]["clips"]["3"]["recall"] == first["lengths"]["clips"]["3"]["recall"]
    assert again["left_out"] == first["left_out"]

    result = runner.invoke(
        app, ["report", "--evaluation", str(out), "--out", str(tmp_path), "--name", "tiny"]
    )
    assert result.exit_code == 0, result.output
    page, card = ((tmp_path / name).read_text() for name in ("report.html", "README.md"))
    assert page.count("data:image/png;base64,") == 4
    assert card.startswith("---\nlicense: mit")
    assert "![" in card
    for name in ("lengths", "confusion", "reliability", "unknown"):
        assert (tmp_path / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_language_tokens_of_a_whisper_with_a_decoder(tmp_path: Path, speech: Path):
    """The baseline: restricted to the targets, and among all that it knows."""
    model = WhisperForConditionalGeneration(WhisperConfig(**SMALL))
    model.save_pretrained(tmp_path)
    generation = {"decoder_start_token_id": 1, "lang_to_id": TOKENS}
    (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    listener = open_listener(str(tmp_path), threads=1)
    assert listener.labels == ("en", "ru", "uz", "tr")
    assert listener.context == "padded"
    plan = Plan(
        model=str(tmp_path),
        roots=(speech / "uz", speech / "en"),
        limit=1,
        threads=1,
        conditions=False,
        checks=False,
    )
    found = figures(evaluate(plan))
    assert set(found["lengths"]["clips"]["1"]["recall"]) == {"uz", "en"}
    assert found["contexts"] == {"joined": {}, "clips": {}}
    with pytest.raises(ModelError, match="need padded context"):
        open_listener(str(tmp_path), "trimmed")


def test_a_model_without_the_languages_is_refused_in_one_line(checkpoint: Path, speech: Path):
    result = CliRunner().invoke(
        app,
        ["evaluate", "--model", str(checkpoint), "--data", str(speech), "--languages", "uz,de"],
    )
    assert result.exit_code == 2
    assert "the model has no label de" in result.stderr
