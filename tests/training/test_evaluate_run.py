"""One evaluation from recordings to the card: table, baseline, calibration, report."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from langidd.model.whisper.openvino_engine import load_engine
from langidd_training.cli import app
from langidd_training.evaluation.evaluate import reread
from langidd_training.evaluation.figures import figures
from langidd_training.evaluation.observations import load_observations
from langidd_training.evaluation.passages import join_short, read_passages
from langidd_training.fit.export import export
from langidd_training.fit.network import open_network
from tests.support.tiny_whisper import write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ("uz", "ru", "en")
ROW = {"macro", "strict", "by_language", "by_corpus", "worst_corpus", "other_named", "auroc"}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def few(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen clips of each language in train and dev, and dev again as `abroad`."""
    place = tmp_path_factory.mktemp("few")
    for language in (*LANGUAGES, "other"):
        (place / language).mkdir()
        (place / language / "clips").symlink_to(speech / language / "clips")
        for split, copied in (("train", "train"), ("dev", "dev"), ("dev", "abroad")):
            with (speech / language / f"{split}.tsv").open(encoding="utf-8", newline="") as lines:
                rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
            with (place / language / f"{copied}.tsv").open("w", encoding="utf-8") as file:
                file.write("\t".join(rows[0]) + "\n")
                for row in rows[:: max(1, len(rows) // 12)][:12]:
                    file.write("\t".join(row.values()) + "\n")
    return place


@pytest.fixture
def model(whisper: Path, tmp_path: Path) -> Path:
    network = open_network(str(whisper), LANGUAGES)
    return export(network.config, network.state_dict(), tmp_path / "model")


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_one_command_gives_table_baseline_and_conditions_and_the_rest_follows(
    model: Path, whisper: Path, few: Path, tmp_path: Path
):
    out = tmp_path / "evaluation"
    noise, room = tmp_path / "noise.wav", tmp_path / "room.wav"
    import soundfile

    soundfile.write(noise, np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    soundfile.write(room, np.eye(1, 800)[0], 16_000)
    printed = run(
        *("evaluate", "--model", model, "--data", few, "--split", "dev", "--split", "abroad"),
        *("--seconds", "1,3", "--baseline", whisper, "--noise", noise, "--room", room),
        *("--out", out, "--threads", 1),
    ).stdout
    found = json.loads((out / "evaluation.json").read_text())
    assert list(found["splits"]) == ["dev", "abroad"]
    assert list(found["splits"]["dev"]["lengths"]) == ["1", "3"]
    assert list(found["splits"]["dev"]["conditions"]) == ["telephone", "noise-10dB", "room"]
    assert found["splits"]["dev"]["lengths"]["3"].keys() >= ROW
    assert found["baseline"]["splits"]["abroad"]["conditions"].keys() == {
        *("telephone", "noise-10dB", "room")
    }
    assert found["baseline"]["splits"]["dev"]["lengths"]["1"]["macro"] is not None
    assert "baseline, 3 s" in {bar["bar"] for bar in found["bars"]}
    assert "worst corpus" in printed
    assert "…" not in printed
    assert list((out / "cache").glob("*.npy"))

    table = load_observations(out / "scores.npz")
    rows = table.at("dev", "1")
    passages = join_short(read_passages([few], LANGUAGES).passages, 1.0)
    assert list(rows.speaker) == [passage.speaker for passage in passages]
    engine = load_engine(str(model), precision="f32")
    alone = engine.logits([passages[3].samples])[0]
    assert rows.logits[3] == pytest.approx(alone, abs=5e-2)  # evaluated in bf16 where that is fast

    said = run("calibrate", "--model", model, "--scores", out).stdout
    assert "calibration error" in said
    assert "biases: uz" in said
    block = json.loads((model / "config.json").read_text())["langidd"]
    assert [at for at, _ in block["temperature"]] == [1.0, 3.0]
    again = reread(str(model), out)
    moved = load_engine(str(model), precision="f32").logits([passages[3].samples])[0]
    assert again.observations.at("dev", "1").logits[3] == pytest.approx(moved, abs=5e-2)
    assert figures(again)["und_threshold"] == block["und_threshold"]
    run("evaluate", "--model", model, "--scores", out, "--into", model / "evaluation.json")
    assert json.loads((model / "evaluation.json").read_text())["baseline"]["model"] == str(whisper)

    run("report", "--evaluation", out, "--run", tmp_path / "my-run", "--out", tmp_path / "card")
    page, card = ((tmp_path / "card" / name).read_text() for name in ("report.html", "README.md"))
    assert "# my-run: spoken language identification" in card
    assert card.startswith("---\nlicense: mit")
    assert "WhisperForConditionalGeneration" in card
    assert "| baseline, 1 s |" in card
    assert page.count("data:image/png;base64,") == 2
    for name in ("lengths", "reliability"):
        picture = tmp_path / "card" / "pictures" / f"{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_by_length(model: Path, few: Path):
    said = run(
        *("evaluate", "--model", model, "--data", few, "--split", "abroad"),
        *("--seconds", "1,2", "--json"),
    )
    found = json.loads(said.stdout)
    assert list(found) == ["1", "2"]
    assert found["1"].keys() >= ROW
    assert found["1"]["by_language"].keys() == set(LANGUAGES)


@pytest.mark.parametrize("seconds", ["", "two", "0", "31", "1,,2"])
def test_lengths_that_are_none_are_refused(seconds: str, tmp_path: Path):
    said = CliRunner().invoke(app, ["evaluate", "--data", str(tmp_path), "--seconds", seconds])
    assert said.exit_code == 2
    assert "give lengths" in said.stderr


def test_a_model_without_the_languages_is_refused_in_one_line(model: Path, few: Path):
    result = CliRunner().invoke(
        app, ["evaluate", "--model", str(model), "--data", str(few), "--languages", "uz,de"]
    )
    assert result.exit_code == 2
    assert "the model has no label de" in result.stderr
