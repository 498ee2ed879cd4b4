"""More voices for training: RHVoice's, and people's clips through a vocoder."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pyworld
import soundfile
from typer.testing import CliRunner

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.cli import app
from langidd_training.data.corpus import read_corpora
from langidd_training.synthesis import rhvoice
from langidd_training.synthesis.synthetic import Utterance
from langidd_training.synthesis.vocoder import CLIPS_A_VOICE, Voice, revoiced
from tests.conftest import require

if TYPE_CHECKING:
    from pathlib import Path

PO = '\n\nmsgid "{0}"\nmsgstr "{1}"'


def vowel(pitch_hz: float, formant_hz: float, seconds: float = 1.0) -> np.ndarray:
    """Pulses at a pitch, each of them ringing at one formant."""
    pulses = np.zeros(int(seconds * SAMPLE_RATE))
    pulses[:: round(SAMPLE_RATE / pitch_hz)] = 1.0
    time = np.arange(400) / SAMPLE_RATE
    ringing = np.exp(-time * 400) * np.sin(2 * np.pi * formant_hz * time)
    sound = np.convolve(pulses, ringing)[: len(pulses)]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def pitch_of(sound: np.ndarray) -> float:
    heard, _ = pyworld.harvest(sound.astype(np.float64), SAMPLE_RATE)
    return float(np.median(heard[heard > 0]))


def strongest_hz(sound: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    near = spectrum > spectrum.max() / 10
    return float(np.average(frequency[near], weights=spectrum[near]))


def test_pitch_and_formants_move_apart_from_each_other():
    sound = vowel(125, 1_200)
    higher = revoiced(sound, Voice(pitch=1.3, formants=1.0))
    longer = revoiced(sound, Voice(pitch=1.0, formants=0.87))
    assert higher.dtype == np.float32
    assert abs(len(higher) - len(sound)) < 0.02 * SAMPLE_RATE
    assert pitch_of(higher) == pytest.approx(1.3 * 125, rel=0.03)
    assert strongest_hz(higher) == pytest.approx(strongest_hz(sound), rel=0.08)
    assert pitch_of(longer) == pytest.approx(125, rel=0.03)
    assert strongest_hz(longer) == pytest.approx(0.87 * strongest_hz(sound), rel=0.05)


def corpus(directory: Path) -> Path:
    """Seven clips of one man and one of a woman in Uzbek, one in Turkish, a broken one, a dev."""
    rows: dict[str, list[tuple[str, str, str]]] = {"uz": [], "other": []}
    clips = [("uz", "man", "uz", 110 + n) for n in range(7)]
    clips += [("uz", "woman", "uz", 210), ("other", "boy", "tr", 260)]
    for number, (folder, speaker, locale, pitch) in enumerate(clips):
        (directory / folder / "clips").mkdir(parents=True, exist_ok=True)
        path = directory / folder / "clips" / f"{number}.flac"
        soundfile.write(path, vowel(pitch, 900), SAMPLE_RATE)
        rows[folder].append((speaker, path.name, locale))
    (directory / "uz" / "clips" / "broken.flac").write_bytes(b"fLaC and no more")
    rows["uz"].append(("ghost", "broken.flac", "uz"))
    for folder, own in rows.items():
        for split, chosen in (("train", own), ("dev", [("judge", own[0][1], own[0][2])])):
            with (directory / folder / f"{split}.tsv").open("w", newline="") as file:
                writer = csv.writer(file, delimiter="\t")
                writer.writerow(("client_id", "path", "locale"))
                writer.writerows(chosen)
    return directory


def test_clips_of_people_get_other_voices(tmp_path: Path):
    data, out = corpus(tmp_path / "data"), tmp_path / "out"
    done = CliRunner().invoke(app, ["revoice", str(out), "--data", str(data), "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert done.output.split() == ["other", "1", "uz", "8"]  # the broken one is left out
    clips = read_corpora([out], ["uz", "ru", "en"])
    assert {(clip.language, clip.locale, clip.corpus) for clip in clips} == {
        ("uz", "uz", "world"),
        ("other", "tr", "world"),
    }
    assert {clip.split for clip in clips} == {"train"}
    of_the_man = [clip.speaker for clip in clips if "/man+" in clip.speaker]
    assert sorted(map(of_the_man.count, set(of_the_man))) == [7 - CLIPS_A_VOICE, CLIPS_A_VOICE]
    assert not any("judge" in clip.speaker for clip in clips)
    before = {clip.path: clip.path.stat().st_mtime_ns for clip in clips}
    again = ["revoice", str(out), "--data", str(data), "--workers", "1"]
    CliRunner().invoke(app, again)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    # Other voices are other files: none of the old ones passes for one of them.
    assert CliRunner().invoke(app, [*again, "--seed", "18"]).exit_code == 0
    assert not {clip.path for clip in read_corpora([out], ["uz"])} & set(before)


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
