from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from langidd_training.cli import app
from langidd_training.data.common_voice import write_flac
from langidd_training.decisions.replay import recordings
from langidd_training.decisions.truth import TruthSpan, write_truth

CONVERSATION = Path(str(resources.files("langidd"))) / "demo" / "conversation.ogg"
SPANS = (
    TruthSpan(0.5, 9.0, "uz"),
    TruthSpan(9.4, 22.1, "ru"),
    TruthSpan(22.5, 29.6, "en"),
)


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_the_packaged_model_is_scored_on_the_demo_conversation(runner: CliRunner, tmp_path: Path):
    truth = tmp_path / "conversation.rttm"
    write_truth(truth, SPANS)
    flags = [str(CONVERSATION), "--truth", str(truth), "--cache", str(tmp_path), "--compute", "cpu"]
    result = runner.invoke(app, ["score", *flags, "--json"])
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["recordings"] == 1
    assert made["all"]["switches within 3 s"]["value"] == 100.0
    assert made["all"]["wrong language"]["value"] < 30.0
    assert made["model_s"] > 0.0
    # the second time is read from the cache, the naive rule gets the same scores
    shown = runner.invoke(app, ["score", *flags, "--rule", "majority"])
    assert shown.exit_code == 0, shown.output
    assert "first decision right" in shown.stdout
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_tune_draws_the_packaged_model_on_the_demo_conversation(runner: CliRunner, tmp_path: Path):
    truth = tmp_path / "conversation.tsv"
    write_truth(truth, SPANS)
    picture, table = tmp_path / "tune.png", tmp_path / "points.tsv"
    result = runner.invoke(
        app,
        ["tune", str(CONVERSATION), "--truth", str(truth), "--samples", "3", "--jobs", "1",
         "--picture", str(picture), "--table", str(table), "--compute", "cpu"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    # No terminal says how wide the table may be: no word of it is cut short.
    assert "majority" in result.stdout
    assert "…" not in result.stdout
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + 3 + 6 + 3


def test_mixes_are_made_from_any_clips_in_common_voices_layout(runner: CliRunner, tmp_path: Path):
    speech_of = {"aa": 0.3, "bb": 0.2}
    voice = _someone_speaking()
    for language, level in speech_of.items():
        clips = tmp_path / "cv" / language / "clips"
        clips.mkdir(parents=True)
        write_flac(clips / "one.flac", voice * np.float32(level))
        (clips.parent / "dev.tsv").write_text(
            f"client_id\tpath\tsentence\tlocale\tsource\n{language}1\tone.flac\t\t{language}\tx\n",
            encoding="utf-8",
        )
    out = tmp_path / "mix"
    arguments = ["--make-mix", str(out), "--speech", str(tmp_path / "cv"), "--minutes", "1",
                 "--nothing-minutes", "0"]  # fmt: skip
    refused = runner.invoke(app, ["score", *arguments])
    assert refused.exit_code == 2
    assert "folder `other`" in refused.output
    clips = tmp_path / "cv" / "other" / "clips"
    clips.mkdir(parents=True)
    write_flac(clips / "one.flac", voice)
    (clips.parent / "dev.tsv").write_text(
        "client_id\tpath\tsentence\tlocale\tsource\ncc1\tone.flac\t\tcc\tx\n", encoding="utf-8"
    )
    made = runner.invoke(app, ["score", *arguments])
    assert made.exit_code == 0, made.output
    assert len(recordings(out)) > 5


def _someone_speaking() -> np.ndarray:
    """A segment of the demo conversation, which ships with the package."""
    from langidd_training.decisions.clips import decode

    return decode(CONVERSATION)[16_000 * 2 : 16_000 * 10]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score"], "give recordings"),
        (["score", "x.wav", "--rule", "guess"], "--rule guess: give one of"),
        (["score", "--make-mix", "out"], "--speech DIR"),
        (["score", "--make-mix", "out", "--speech", ".", "--half", "c"], "--half c"),
        (["score", "no-such.wav"], "no truth for it"),
        (["score", ".", "--preset", "slow"], "fast, balanced, steady"),
    ],
)
def test_mistakes_get_one_line_and_status_2(
    runner: CliRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
):
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert len(result.output.strip().splitlines()) == 1
