"""More voices for training: RHVoice's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.cli import app
from langidd_training.data.corpus import read_corpora
from langidd_training.synthesis import rhvoice
from langidd_training.synthesis.synthetic import Utterance
from tests.conftest import require

if TYPE_CHECKING:
    from pathlib import Path

PO = '\n\nmsgid "{0}"\nmsgstr "{1}"'


def test_rhvoice_speaks_by_several_voices(tmp_path: Path):
    require("RHVoice-test")
    (tmp_path / "ky.po").write_text(
        'msgid ""\nmsgstr ""'
        + PO.format("The file was not found", "Файл табылган жок")
        + PO.format("Save", "Сактоо")
    )
    out = tmp_path / "out"
    options = ["--engine", "rhvoice", "--catalogues", str(tmp_path), "--languages", "ky"]
    done = CliRunner().invoke(app, ["speak", str(out), *options, "--per-language", "4"])
    assert done.exit_code == 0, done.output
    clips = read_corpora([out], ["uz", "ru", "en"])
    assert [(clip.language, clip.locale, clip.corpus) for clip in clips] == [
        ("other", "ky", "rhvoice")
    ] * 4
    assert {clip.speaker for clip in clips} == {
        "rhvoice/rhvoice-ky-azamat",
        "rhvoice/rhvoice-ky-nazgul",
    }
    for clip in clips:
        samples, rate = soundfile.read(clip.path)
        assert rate == SAMPLE_RATE
        assert 0.3 < len(samples) / rate < 5
        assert np.abs(samples).max() > 0.05


def test_a_voice_that_rhvoice_does_not_have_is_said_in_one_line():
    require("RHVoice-test")
    with pytest.raises(LangiddError, match=r"RHVoice cannot speak .* by 'nobody': no such voice"):
        rhvoice.speak(Utterance("ky", "салам", "nobody", 100, 100, "rhvoice"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "rhvoice", "--catalogues", ".", "--languages", "uz"], "no free voice"),
        (["--engine", "rhvoice"], "give --catalogues"),
        (["--engine", "rhvoice", "--catalogues", ".", "--variants", "m1"], "nor --variants"),
        (["--engine", "festival"], "neither espeak nor rhvoice"),
    ],
)
def test_what_cannot_be_spoken_is_refused(options: list[str], said: str, tmp_path: Path):
    done = CliRunner().invoke(app, ["speak", str(tmp_path / "out"), *options])
    assert done.exit_code != 0
    assert said in f"{done.output}{done.exception}"
    assert not (tmp_path / "out").exists()
