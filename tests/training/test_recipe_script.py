"""The one command that makes the shipped weights again: every step of it, on a little."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from langidd.model.whisper.openvino_engine import load_engine
from tests.conftest import require
from tests.support.tiny_whisper import write_tiny_whisper

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "uz-ru-en.sh"
TRANSLATED = {
    "ky": "Файлды бүгүн ачууга болбоду",
    "uk": "Сьогодні файл не вдалося відкрити",
    "ru": "Файл сегодня не удалось открыть",
    "de": "Die Datei konnte heute nicht geöffnet werden",
}


@pytest.mark.slow
def test_from_recordings_to_a_calibrated_checkpoint_by_the_script(speech: Path, tmp_path: Path):
    require("espeak-ng")
    require("RHVoice-test")
    clips, runs = tmp_path / "speech", tmp_path / "runs"
    for language in ("uz", "ru", "en", "other"):
        _few_of(speech / language, clips / language)
    for language, said in TRANSLATED.items():
        words = tmp_path / "locale" / "editor" / f"{language}.po"
        words.parent.mkdir(parents=True, exist_ok=True)
        entry = f'msgid "The file could not be opened today"\nmsgstr "{said}"\n'
        words.write_text(entry, encoding="utf-8")
    whisper = write_tiny_whisper(tmp_path / "whisper")
    noise = tmp_path / "noise"
    noise.mkdir()
    draw = np.random.default_rng(0)
    for name in ("audiomentations_rain", "esc10_rain", "room_hall"):
        soundfile.write(noise / f"{name}.flac", draw.normal(0, 0.1, 32_000), 16_000)
    done = subprocess.run(
        ["sh", str(SCRIPT), str(clips), str(noise), str(whisper), str(runs)],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "CATALOGUES": str(tmp_path / "locale"),
            "STEPS": "2",
            "UTTERANCES": "20",
            "SPLITS": "dev",
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    model = runs / "uz-ru-en" / "model"
    block = json.loads((model / "config.json").read_text())["langidd"]
    assert (block["head"], block["context"]) == ("language_tokens", "trimmed")
    assert [at for at, _ in block["temperature"]] == [1.0, 2.0, 3.0, 5.0]
    assert load_engine(str(model)).labels[:3] == ("uz", "ru", "en")
    found = json.loads((model / "evaluation.json").read_text())
    assert list(found["splits"]["dev"]["conditions"]) == ["telephone", "noise-10dB", "room"]
    assert found["baseline"]["splits"]["dev"]["lengths"].keys() == {"1", "2", "3", "5"}
    assert (model / "README.md").read_text().count("# uz-ru-en: spoken language") == 1


def _few_of(language: Path, target: Path) -> None:
    """The same directory with a few clips of many voices; the sound stays where it is."""
    target.mkdir(parents=True)
    (target / "clips").symlink_to(language / "clips")
    for split in ("train", "dev"):
        with (language / f"{split}.tsv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        step = max(1, len(rows) // 24)
        with (target / f"{split}.tsv").open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(
                lines, list(rows[0]), delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\"
            )
            writer.writeheader()
            writer.writerows(rows[::step])
