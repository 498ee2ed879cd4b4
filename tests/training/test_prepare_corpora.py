"""Preparing: what is read, what is dropped and counted, what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from langidd.errors import ConfigError
from langidd_training.cli import app
from langidd_training.data.corpus import Clip, read_corpora, refuse_shared_speakers
from langidd_training.data.decoding import decode, only_speech
from langidd_training.data.prepare import Preparation, prepare
from langidd_training.data.store import Store
from langidd_training.fit.presets import recipe
from langidd_training.fit.train import build_trainer
from tests.conftest import DEMO_RECORDING

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ["uz", "ru", "en"]
RATE = 16_000


@pytest.fixture(scope="module")
def spoken(corpora: Path) -> np.ndarray:
    """Five seconds of a real voice."""
    clips = [clip for clip in read_corpora([corpora / "uz"], LANGUAGES) if clip.split == "dev"]
    for clip in clips:
        samples = decode(clip.path)
        if len(only_speech(samples)) > 5 * RATE:
            return only_speech(samples)[: 5 * RATE]
    raise AssertionError("no clip of five seconds")


def manifest(directory: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    table = directory / "mine.csv"
    with table.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["path", "language", "speaker", "split"])
        writer.writerows(rows)
    return table


def test_common_voice_directories_give_clips_with_their_class_and_corpus(corpora: Path):
    clips = read_corpora([corpora], LANGUAGES)
    assert {clip.language for clip in clips} == {*LANGUAGES, "other"}
    assert {clip.split for clip in clips} == {"train", "dev"}
    assert {clip.locale for clip in clips if clip.language == "other"} >= {"tr", "de", "kk", "tk"}
    assert {clip.corpus for clip in clips if clip.language == "uz"} == {"telegram-uz"}
    assert all(clip.path.is_file() for clip in clips[::50])
    refuse_shared_speakers(clips)


def test_a_real_common_voice_release_is_read_as_mozilla_lays_it_out(tmp_path: Path):
    (tmp_path / "uz" / "clips").mkdir(parents=True)
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\tlocale\n"
    row = 'ab12\tcommon_voice_uz_1.mp3\t9\tU "salom" dedi\t2\tuz\n'
    (tmp_path / "uz" / "test.tsv").write_text(header + row + row.replace("_1.mp3", "_2"))
    one, two = read_corpora([tmp_path], LANGUAGES)
    assert (one.language, one.corpus, one.split) == ("uz", "common-voice", "test")
    assert one.path == tmp_path / "uz" / "clips" / "common_voice_uz_1.mp3"
    assert two.path.name == "common_voice_uz_2.mp3"


def test_broken_silent_and_short_clips_are_dropped_and_counted(tmp_path: Path, spoken: np.ndarray):
    soundfile.write(tmp_path / "good.flac", spoken, RATE)
    soundfile.write(tmp_path / "short.wav", spoken[: RATE // 10], RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE, np.int16), RATE)
    (tmp_path / "broken.mp3").write_bytes(b"this is no audio" * 100)
    names = ["good.flac", "short.wav", "silent.wav", "broken.mp3", "missing.ogg"]
    table = manifest(tmp_path, [(name, "uz", f"s{name}", "train") for name in names])
    out = tmp_path / "store"
    result = prepare(read_corpora([table], LANGUAGES), out, Preparation(workers=1))
    assert result.kept == 1
    assert result.dropped == {"short": 1, "silent": 1, "broken": 2}
    assert json.loads((out / "prepared.json").read_text())["dropped"] == result.dropped
    assert (out / "dropped.tsv").read_text().count("\n") == 4
    (clip,) = Store(out).clips
    samples = Store(out).samples(clip)
    assert samples.dtype == np.float32
    assert len(samples) == clip.samples > 3 * RATE


def test_pauses_and_the_silence_around_speech_are_cut_out(spoken: np.ndarray):
    silence = np.zeros(3 * RATE, np.int16)
    together = np.concatenate([silence, spoken, silence, spoken, silence])
    kept = only_speech(together)
    assert 8 * RATE < len(kept) < 12 * RATE
    assert len(only_speech(silence)) == 0


def test_a_speaker_is_kept_only_so_long(tmp_path: Path, spoken: np.ndarray):
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", spoken, RATE)
    rows = [(f"{number}.wav", "ru", "one", "train") for number in range(4)]
    clips = read_corpora([manifest(tmp_path, rows)], LANGUAGES)
    result = prepare(clips, tmp_path / "store", Preparation(workers=1, max_speaker_s=7.0))
    assert (result.kept, result.dropped) == (2, {"speaker": 2})


def test_splits_that_share_a_speaker_are_refused_by_name(tmp_path: Path):
    rows = [("a.wav", "uz", "anna", "train"), ("b.wav", "uz", "anna", "dev")]
    clips = read_corpora([manifest(tmp_path, rows)], LANGUAGES)
    with pytest.raises(ConfigError, match=r"anna in dev and train"):
        prepare(clips, tmp_path / "store", Preparation(workers=1))


@pytest.mark.parametrize(
    ("header", "row", "complaint"),
    [
        ("path,language,split", "a.wav,uz,train", "speaker"),
        ("path,language,speaker,split", "a.wav,uz,x,validation", "validation"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_what_is_wrong(
    tmp_path: Path, header: str, row: str, complaint: str
):
    table = tmp_path / "bad.csv"
    table.write_text(f"{header}\n{row}\n")
    with pytest.raises(ConfigError, match=complaint):
        read_corpora([table], LANGUAGES)


def test_a_directory_without_recordings_says_what_was_expected(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"train\.tsv beside clips"):
        read_corpora([tmp_path], LANGUAGES)


def test_several_processes_give_what_one_gives(tmp_path: Path, speech: Path):
    clips: list[Clip] = [
        clip for clip in read_corpora([speech / "ru"], LANGUAGES) if clip.split == "dev"
    ][:40]
    for workers in (1, 2):
        prepare(clips, tmp_path / str(workers), Preparation(workers=workers))
    one, two = (tmp_path / name / "audio.i16" for name in ("1", "2"))
    assert one.read_bytes() == two.read_bytes()
    assert (tmp_path / "1" / "clips.tsv").read_text() == (tmp_path / "2" / "clips.tsv").read_text()


@pytest.fixture
def german_and_kazakh(tmp_path: Path) -> Path:
    for language in ("de", "kk"):
        place = tmp_path / "cv" / language
        (place / "clips").mkdir(parents=True)
        for split in ("train", "dev"):
            (place / f"{split}.tsv").write_text(
                f"client_id\tpath\tlocale\n{language}-{split}\t{split}.ogg\t{language}\n"
            )
            shutil.copy(DEMO_RECORDING, place / "clips" / f"{split}.ogg")
    return tmp_path / "cv"


def test_the_directories_name_the_languages_where_nobody_does(
    german_and_kazakh: Path, tmp_path: Path
):
    made = CliRunner().invoke(
        app, ["prepare", "x", "--data", str(german_and_kazakh), "--runs", str(tmp_path)]
    )
    assert made.exit_code == 0, made.output
    assert Store(tmp_path / "x").languages == ("de", "kk")


def test_languages_that_the_data_lacks_are_named(german_and_kazakh: Path, tmp_path: Path):
    data = ["--data", str(german_and_kazakh), "--runs", str(tmp_path), "--workers", "1"]
    said = CliRunner().invoke(app, ["prepare", "x", *data, "--languages", "uz,ru,de"])
    assert said.exit_code == 2
    assert "no clip in uz, ru; the languages there are de, kk" in said.stderr
    assert not (tmp_path / "x" / "clips.tsv").exists()


def test_a_model_is_never_trained_to_name_what_it_did_not_hear(
    german_and_kazakh: Path, tmp_path: Path
):
    CliRunner().invoke(
        app, ["prepare", "x", "--data", str(german_and_kazakh), "--runs", str(tmp_path)]
    )
    with pytest.raises(ConfigError, match=r"no clip in uz, ru, en; .* de, kk"):
        build_trainer(
            Store(tmp_path / "x"),
            tmp_path,
            checkpoint="none",
            languages=("uz", "ru", "en"),
            recipe=recipe("default"),
        )
