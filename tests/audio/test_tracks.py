"""Files with several audio tracks: the default one, then the first with sound, or the chosen."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.file import FileSource
from langidd.audio.track_languages import same_language
from langidd.config import Settings
from langidd.errors import SourceError
from langidd.service.preflight import check_all
from tests.conftest import require

if TYPE_CHECKING:
    from pathlib import Path

    from langidd.types import Chunk

SILENT = "anullsrc=r=48000:cl=mono:d=12"
LOW = "sine=f=300:r=48000:d=12"
HIGH = "sine=f=1000:r=48000:d=12"
LATE = "sine=f=1000:r=48000:d=12,volume=0:enable='lt(t,7)'"


def make(path: Path, *tracks: str, more: tuple[str, ...] = ()) -> Path:
    """A file of these tracks (FFmpeg's lavfi); none is flagged as default unless `more` says so."""
    require("ffmpeg")
    command = ["ffmpeg", "-v", "error", "-y"]
    for track in tracks:
        command += ["-f", "lavfi", "-i", track]
    for number in range(len(tracks)):
        command += ["-map", f"{number}:a"]
    command += ["-disposition:a", "0", *more, str(path)]
    subprocess.run(command, check=True)
    return path


async def sound_of(path: Path, track: int | str | None = None) -> tuple[list[Chunk], str]:
    source = FileSource("film", path, track=track)
    return [chunk async for chunk in source.chunks()], source.tracks


def pitch(chunks: list[Chunk], start_s: float = 8.0) -> float:
    """The loudest frequency of a second of the sound; 0 for silence."""
    sound = np.concatenate([chunk.samples for chunk in chunks])
    part = sound[round(start_s * 16_000) :][:16_000]
    if np.abs(part).max() < 1e-3:
        return 0.0
    return float(np.argmax(np.abs(np.fft.rfft(part))))


DEFAULT_1 = ("-disposition:a:1", "default")


@pytest.mark.parametrize(
    ("kind", "tracks", "more", "hertz", "said"),
    [
        ("mkv", (LOW, HIGH), (), 300, "audio track 0; left: 1"),
        ("mkv", (LOW, HIGH), DEFAULT_1, 1_000, "audio track 1 (default); left: 0"),
        ("mp4", (LOW, HIGH), DEFAULT_1, 1_000, "audio track 1 (default); left: 0"),
        ("mkv", (SILENT, HIGH), (), 1_000, "audio track 1; left: 0"),
        ("mkv", (LOW, SILENT), DEFAULT_1, 300, "audio track 0; left: 1 (default)"),
        ("mp4", (LOW, SILENT), DEFAULT_1, 300, "audio track 0; left: 1 (default)"),
        ("mkv", (SILENT, SILENT, HIGH), (), 1_000, "audio track 2; left: 0, 1"),
        ("mkv", (LATE, LOW), (), 1_000, "audio track 0; left: 1"),
        ("mkv", (SILENT, LATE), (), 1_000, "audio track 1; left: 0"),
        ("mkv", (SILENT, SILENT), (), 0, "audio track 0; left: 1"),
    ],
)
async def test_the_default_track_or_the_first_with_sound_is_taken_whole(  # noqa: PLR0917 - a table
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    tracks: tuple[str, ...],
    more: tuple[str, ...],
    hertz: float,
    said: str,
):
    codec = ("-c:a", "flac") if kind == "mkv" else ("-c:a", "aac")
    path = make(tmp_path / f"film.{kind}", *tracks, more=(*codec, *more))
    chunks, taken = await sound_of(path)
    assert pitch(chunks) == hertz
    assert taken == said
    assert said in caplog.text
    assert chunks[0].captured_at == 0
    assert chunks[-1].ends_at == pytest.approx(12, abs=0.1)
    assert not any(chunk.gap for chunk in chunks)


@pytest.mark.parametrize("wait_s", [0.0, 20.0])
async def test_sound_that_sets_in_late_on_a_second_track_keeps_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_s: float
):
    monkeypatch.setattr("langidd.audio.tracks._WAIT_S", wait_s)
    chunks, _ = await sound_of(make(tmp_path / "film.mka", SILENT, LATE, more=("-c:a", "flac")))
    sound = np.concatenate([chunk.samples for chunk in chunks])
    assert np.argmax(np.abs(sound) > 0.01) == pytest.approx(7 * 16_000, abs=1_600)
    assert chunks[-1].ends_at == pytest.approx(12, abs=0.2)


LANGUAGES = ("-metadata:s:a:0", "language=uzb", "-metadata:s:a:1", "language=rus")


@pytest.mark.parametrize(
    ("track", "hertz"),
    [
        (0, 300),
        (1, 1_000),
        ("ru", 1_000),
        ("rus", 1_000),
        ("ru-RU", 1_000),
        ("uz", 300),
        ("1", 1_000),
    ],
)
async def test_a_track_is_chosen_by_its_number_or_its_language(
    tmp_path: Path, track: int | str, hertz: float
):
    path = make(tmp_path / "film.mka", LOW, HIGH, more=("-c:a", "flac", *LANGUAGES))
    chunks, _ = await sound_of(path, track)
    assert pitch(chunks) == hertz


@pytest.mark.parametrize("track", [2, "kk", "ka"])
async def test_a_track_that_is_not_there_is_an_error_that_names_those_that_are(
    tmp_path: Path, track: int | str
):
    path = make(tmp_path / "film.mka", LOW, HIGH, more=("-c:a", "flac", *LANGUAGES))
    with pytest.raises(SourceError) as caught:
        await sound_of(path, track)
    assert f"has no audio track {track}; there is 0 (uzb), 1 (rus)" in str(caught.value)
    assert caught.value.permanent


async def test_check_says_which_track_is_taken_and_which_are_left(
    tmp_path: Path, stock_model: Path
):
    path = make(tmp_path / "film.mka", SILENT, HIGH, more=("-c:a", "flac", *LANGUAGES))
    settings = Settings.model_validate(
        {
            "model": {"path": str(stock_model)},
            "sources": [
                {"name": "film", "file": str(path)},
                {"name": "none", "file": str(path), "track": "en"},
            ],
        }
    )
    told: dict[str, tuple[str | None, str]] = {}
    await check_all(
        settings,
        lambda part, trouble, detail: told.update({part: (trouble, detail)}),
        timeout_s=60,
    )
    assert "audio track 1 (rus); left: 0 (uzb)" in told["source film"][1]
    assert "has no audio track en; there is 0 (uzb), 1 (rus)" in (told["source none"][0] or "")


async def test_one_track_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    chunks, taken = await sound_of(make(tmp_path / "film.mka", LOW, more=("-c:a", "flac")))
    assert pitch(chunks) == 300
    assert not taken
    assert not caplog.text


def test_tags_of_one_language():
    assert same_language("de", "ger")
    assert same_language("deu", "ger")
    assert same_language("kk", "kaz")
    assert same_language("pt-BR", "por")
    assert same_language("haw", "haw")
    assert not same_language("ka", "kaz")
    assert not same_language("", "ru")
