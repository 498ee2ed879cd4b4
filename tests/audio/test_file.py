"""Recordings of every kind, well and broken, at full speed and at the clock's pace."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
import subprocess
import threading
import time
import wave
from typing import TYPE_CHECKING, Self

import av
import av.error
import numpy as np
import pytest

from langidd.audio.file import FileSource
from langidd.errors import EndsEarlyError, SourceError
from tests.conftest import DEMO_RECORDING, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from langidd.types import Chunk

    Sound = npt.NDArray[np.float32]
    from pathlib import Path


async def everything(source: FileSource) -> list[Chunk]:
    return [chunk async for chunk in source.chunks()]


async def collect(source: FileSource, got: list[Chunk]) -> None:
    """Add the chunks to `got`, also those before an error."""
    async for chunk in source.chunks():
        got.append(chunk)  # noqa: PERF401 - what came before an error counts


def sound_of(chunks: list[Chunk]) -> Sound:
    return np.concatenate([chunk.samples for chunk in chunks])


def loudness(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def ffmpeg(*arguments: object) -> None:
    require("ffmpeg")
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="session")
def clip(speech: Path) -> Path:
    """Some seconds of real Uzbek speech."""
    return speech / "uz" / "clips" / "uz_telegram-uz_00001.ogg"


@pytest.fixture(scope="session")
def reference(clip: Path):
    """The clip as FFmpeg's own resampler hears it: 16 kHz mono."""
    require("ffmpeg")
    command = ["ffmpeg", "-v", "error", "-i", clip, "-f", "f32le", "-ac", "1", "-ar", "16000", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")


def likeness(one: Sound, other: Sound) -> float:
    """Correlation at the best of the small shifts that codecs add."""
    length = min(len(one), len(other)) - 2_400
    middle = other[1_200 : 1_200 + length]
    best = 0.0
    for shift in range(2_400):
        piece = one[shift : shift + length : 4]
        best = max(best, float(np.corrcoef(piece, middle[::4])[0, 1]))
    return best


async def test_chunks_are_short_and_follow_each_other_without_a_hole(clip: Path, reference: Sound):
    chunks = await everything(FileSource("clip", clip))
    sound = sound_of(chunks)
    assert abs(len(sound) - len(reference)) <= 1
    np.testing.assert_allclose(sound[: len(reference)], reference[: len(sound)], atol=1e-3)
    assert chunks[0].captured_at == 0
    for one, other in itertools.pairwise(chunks):
        assert 0.03 <= one.ends_at - one.captured_at <= 0.2 + 1e-9
        assert other.captured_at == pytest.approx(one.ends_at, abs=1e-9)
    assert not any(chunk.gap for chunk in chunks)
    assert all(chunk.samples.dtype == np.float32 for chunk in chunks)


async def test_a_second_time_is_the_same_to_the_bit(clip: Path):
    source = FileSource("clip", clip)
    first, second = await everything(source), await everything(source)
    assert [chunk.captured_at for chunk in first] == [chunk.captured_at for chunk in second]
    np.testing.assert_array_equal(sound_of(first), sound_of(second))


FORMATS = {
    "wav8.wav": ["-c:a", "pcm_u8", "-ar", "8000"],
    "wav24.wav": ["-c:a", "pcm_s24le"],
    "wav64.wav": ["-c:a", "pcm_s64le"],
    "double.wav": ["-c:a", "pcm_f64le"],
    "hires.wav": ["-c:a", "pcm_s32le", "-ar", "384000"],
    "surround.flac": ["-af", "pan=7.1|FC=c0"],
    "stereo.mp3": ["-ac", "2", "-ar", "44100"],
    "telephone.au": ["-c:a", "pcm_mulaw", "-ar", "8000"],
    "voice.m4a": ["-c:a", "aac"],
    "voice.mka": ["-c:a", "libvorbis", "-ar", "48000"],
    "voice.webm": ["-c:a", "libopus"],
    "voice.ac3": ["-c:a", "ac3", "-ac", "6", "-ar", "48000"],
}


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_gives_the_same_speech(
    tmp_path: Path, clip: Path, reference: Sound, name: str
):
    ffmpeg("-i", clip, *FORMATS[name], tmp_path / name)
    source = FileSource("clip", tmp_path / name)
    chunks = await everything(source)
    sound = sound_of(chunks)
    assert len(sound) == pytest.approx(len(reference), abs=1_600)
    assert likeness(sound, reference) > 0.9
    assert loudness(sound) > 0.3 * loudness(reference)
    assert not any(chunk.gap for chunk in chunks)
    assert source.counts.damaged == 0


async def test_nan_and_full_scale_samples_are_survived_and_counted(tmp_path: Path):
    sound = np.zeros(16_000, dtype="<f4")
    sound[1_000:1_010] = np.nan
    sound[2_000:2_005] = np.inf
    sound[3_000:3_020] = 1e30
    sound[5_000:9_000] = 1.0
    raw = tmp_path / "raw.f32"
    raw.write_bytes(sound.tobytes())
    ffmpeg("-f", "f32le", "-ar", 16_000, "-i", raw, "-c", "copy", tmp_path / "junk.wav")
    source = FileSource("junk", tmp_path / "junk.wav")
    out = sound_of(await everything(source))
    assert np.isfinite(out).all()
    assert np.abs(out).max() == 1
    assert (source.counts.non_finite, source.counts.clipped) == (15, 20)


@pytest.mark.parametrize("name", ["cut.ogg", "cut.wav", "cut.ts"])
async def test_a_truncated_file_gives_what_is_there(
    tmp_path: Path, clip: Path, reference: Sound, name: str
):
    whole = tmp_path / f"whole_{name}"
    ffmpeg("-i", clip, whole)
    data = whole.read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2 + 7])
    sound = sound_of(await everything(FileSource("cut", tmp_path / name)))
    assert 0.2 * len(reference) < len(sound) < 0.8 * len(reference)
    assert likeness(sound, reference[: len(sound)]) > 0.9


async def test_damage_in_the_middle_is_counted_logged_and_leaves_a_gap(
    tmp_path: Path, clip: Path, reference: Sound, caplog: pytest.LogCaptureFixture
):
    whole = tmp_path / "whole.mp4"
    ffmpeg("-i", clip, "-c:a", "aac", "-movflags", "+faststart", whole)
    data = bytearray(whole.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 4_000] = b"\xff" * 4_000
    (tmp_path / "hurt.mp4").write_bytes(data)
    source = FileSource("hurt", tmp_path / "hurt.mp4")
    chunks = await everything(source)
    assert source.counts.damaged > 0
    assert any(chunk.gap for chunk in chunks)
    assert "damaged packets were skipped" in caplog.text
    # What lies behind the damage keeps its place in time.
    assert chunks[-1].ends_at == pytest.approx(len(reference) / 16_000, abs=0.2)


async def error_of(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await everything(FileSource("bad", path))
    assert "\n" not in str(caught.value)
    assert path.name[:3] in str(caught.value)
    assert caught.value.permanent
    return caught.value


async def test_what_is_no_recording_is_named_in_one_line(tmp_path: Path, clip: Path):
    empty, text, half = tmp_path / "empty.wav", tmp_path / "text.mp3", tmp_path / "half.mp4"
    empty.touch()
    text.write_text("This is no music.\n" * 100)
    ffmpeg("-i", clip, "-c:a", "aac", half)
    half.write_bytes(half.read_bytes()[:2_000])  # the index of an MP4 comes last
    assert "is empty" in str(await error_of(empty))
    assert "no recording that FFmpeg can read" in str(await error_of(text))
    assert "no recording that FFmpeg can read" in str(await error_of(half))
    assert "no such file" in str(await error_of(tmp_path / "nowhere.wav"))
    assert "is a directory" in str(await error_of(tmp_path))


async def test_a_codec_that_nobody_knows_is_named(tmp_path: Path):
    path = tmp_path / "odd.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(b"\0\1" * 4_000)
    data = bytearray(path.read_bytes())
    data[20:22] = b"\xef\xbe"  # the format's number in the WAV header
    path.write_bytes(data)
    assert "a codec that FFmpeg does not know" in str(await error_of(path))


async def test_a_renamed_file_is_known_by_what_it_holds(
    tmp_path: Path, clip: Path, reference: Sound
):
    renamed = tmp_path / "speech.mp3"
    shutil.copy(clip, renamed)
    assert abs(len(sound_of(await everything(FileSource("x", renamed)))) - len(reference)) <= 1


async def test_a_video_without_sound_says_so(tmp_path: Path):
    video = tmp_path / "mute.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=5", "-an", video)
    assert "has no audio track (only video)" in str(await error_of(video))


@pytest.mark.parametrize(
    "name",
    ["a b.wav", "file:x.wav", "concat:a|b.wav", "#+ Ўзбек 100%.wav", "-.wav", "new\nline.wav"],
)
async def test_any_file_name_will_do(tmp_path: Path, name: str):
    path = tmp_path / name
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(b"\0\1" * 4_000)
    assert len(sound_of(await everything(FileSource("x", path)))) == 4_000
    path.write_bytes(b"")
    assert "is empty" in str(await error_of(path))


async def test_a_slow_listener_loses_nothing(clip: Path, reference: Sound):
    source = FileSource("clip", clip)
    heard = 0
    async for chunk in source.chunks():
        heard += len(chunk.samples)
        await asyncio.sleep(0)
    assert abs(heard - len(reference)) <= 1
    assert source.counts.dropped == 0


async def test_a_loop_goes_on_with_times_that_run_on(clip: Path, reference: Sound):
    source = FileSource("clip", clip, loop=True)
    heard, end = 0, 0.0
    chunks = source.chunks()
    async for chunk in chunks:
        assert chunk.captured_at == pytest.approx(end, abs=1e-6)
        heard, end = heard + len(chunk.samples), chunk.ends_at
        if heard > 2.5 * len(reference):
            break
    await chunks.aclose()


async def test_at_the_clock_s_pace_chunks_come_when_they_would_have_been_heard(clip: Path):
    source = FileSource("clip", clip, realtime=True)
    assert source.live
    before = time.time()
    chunks = source.chunks()
    early = []
    async for chunk in chunks:
        early.append(chunk.ends_at - time.time())
        if len(early) == 8:
            break
    await chunks.aclose()
    assert time.time() - before >= 0.79
    # Never before its last sample could have been heard.
    assert max(early) < 0.02


async def test_nobody_is_left_behind_when_the_listener_leaves(clip: Path):
    source = FileSource("clip", clip, loop=True)
    chunks = source.chunks()
    await anext(chunks)
    await chunks.aclose()
    assert source.counts.hanging == 0
    for thread in threading.enumerate():
        if thread.name == "source clip":
            thread.join(timeout=10)
            assert not thread.is_alive()


CUT = {
    "cut.flac": ["-c:a", "flac"],
    "cut.mka": ["-c:a", "libopus"],
    "cut.mp3": ["-c:a", "libmp3lame", "-q:a", "5"],
    "cut.m4a": ["-c:a", "aac", "-movflags", "+faststart"],
    "cut.aiff": [],
    "cut.flv": ["-c:a", "aac"],
}


@pytest.mark.parametrize("name", CUT)
async def test_a_file_that_ends_early_says_where_after_all_that_could_be_read(
    tmp_path: Path, name: str
):
    path = tmp_path / name
    ffmpeg("-i", DEMO_RECORDING, *CUT[name], path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    got: list[Chunk] = []
    with pytest.raises(EndsEarlyError) as caught:
        await collect(FileSource("cut", path), got)
    assert caught.value.permanent
    where = re.search(r"ends early at 0:(\d\d) of 0:31", str(caught.value))
    assert where is not None
    assert got[-1].ends_at == pytest.approx(int(where[1]), abs=1.1)
    assert 15 < got[-1].ends_at < 26


@pytest.mark.parametrize("name", ["whole.mp3", "whole.aac", "whole.mkv", "whole.avi", "whole.ts"])
async def test_a_length_that_is_a_guess_or_the_picture_s_makes_no_early_end(
    tmp_path: Path, name: str
):
    """A VBR MP3 without its header, ADTS, a picture that goes on for a minute."""
    path = tmp_path / name
    if name in {"whole.mp3", "whole.aac"}:
        codec = ["-c:a", "libmp3lame", "-q:a", "5", "-write_xing", "0"]
        ffmpeg("-i", DEMO_RECORDING, *(codec if name.endswith("mp3") else []), path)
    else:
        ffmpeg(*video(60), "-i", DEMO_RECORDING, "-c:v", "mpeg4", "-c:a", "libmp3lame", path)
    chunks = await everything(FileSource("whole", path))
    assert chunks[-1].ends_at == pytest.approx(31, abs=0.3)


def video(seconds: float) -> list[str]:
    return ["-f", "lavfi", "-i", f"color=s=64x64:r=5:d={seconds}"]


async def test_a_demuxer_that_gives_up_says_so_and_a_loop_goes_on(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "clip.ogg"
    shutil.copy(clip, path)
    opened = FileSource._open

    class GivesUp:
        def __init__(self, container: av.container.InputContainer) -> None:
            self._container = container

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._container.close()

        def __getattr__(self, name: str) -> object:
            return getattr(self._container, name)

        def demux(self, *streams: object) -> Iterator[av.Packet[av.AudioStream]]:
            yield from itertools.islice(self._container.demux(*streams), 25)
            raise av.error.InvalidDataError(1, "Invalid data found")

    monkeypatch.setattr(FileSource, "_open", lambda source: GivesUp(opened(source)))
    source = FileSource("clip", path)
    got: list[Chunk] = []
    with pytest.raises(EndsEarlyError, match=r"ends early at 0:01 \(invalid data found\)"):
        await collect(source, got)
    assert 1 < got[-1].ends_at < 2
    loop = FileSource("clip", path, loop=True).chunks()
    async for chunk in loop:
        if chunk.ends_at > 4:
            break
    await loop.aclose()
    assert "ends early at 0:01" in caplog.text
    assert "played again" in caplog.text


LATE = ["mp4", "mkv", "mov", "ts", "webm"]


@pytest.mark.parametrize("kind", LATE)
async def test_sound_that_begins_later_than_the_picture_is_dated_by_the_picture(
    tmp_path: Path, clip: Path, reference: Sound, kind: str
):
    codec = "libopus" if kind == "webm" else "aac"
    picture = ["-c:v", "libvpx"] if kind == "webm" else ["-c:v", "mpeg4"]
    sound = tmp_path / "sound.mka"
    ffmpeg("-i", clip, "-c:a", codec, "-ar", "48000", sound)
    ffmpeg(*video(30), *picture, "-an", tmp_path / f"picture.{kind}")
    late = tmp_path / f"late.{kind}"
    ffmpeg(
        *("-i", tmp_path / f"picture.{kind}", "-itsoffset", 20, "-i", sound),
        *("-map", "0:v", "-map", "1:a", "-c", "copy", late),
    )
    chunks = await everything(FileSource("late", late))
    length_s = len(reference) / 16_000
    assert chunks[0].captured_at == pytest.approx(20, abs=0.06)
    assert chunks[-1].ends_at == pytest.approx(20 + length_s, abs=0.1)
    assert not any(chunk.gap for chunk in chunks)


async def test_stamps_of_a_broadcast_begin_anywhere(tmp_path: Path, clip: Path):
    path = tmp_path / "x.ts"
    ffmpeg("-i", clip, "-output_ts_offset", 5_000, path)
    chunks = await everything(FileSource("x", path))
    assert chunks[0].captured_at == 0


@pytest.mark.parametrize("lost_s", [0.12, 2.0])
async def test_a_hole_in_a_recording_keeps_what_follows_in_its_place(
    tmp_path: Path, clip: Path, reference: Sound, lost_s: float
):
    whole, path = tmp_path / "whole.mka", tmp_path / "hole.mka"
    ffmpeg("-i", clip, "-c:a", "pcm_s16le", "-ar", "16000", whole)
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.pts is not None:
                at_s = float(packet.pts * packet.time_base)
                packet.pts += round((at_s > 1.5) * lost_s / packet.time_base)
                packet.dts = packet.pts
                packet.stream = stream
                out.mux(packet)
    chunks = await everything(FileSource("hole", path))
    assert sum(chunk.gap for chunk in chunks) == (lost_s > 0.3)
    assert chunks[-1].ends_at == pytest.approx(len(reference) / 16_000 + lost_s, abs=0.01)


async def test_two_channels_of_opposite_signs_and_many_microphones(
    tmp_path: Path, clip: Path, reference: Sound
):
    for number, pan in enumerate(
        ["stereo|c0=c0|c1=-1*c0", "stereo|c1=c0", "8c|c7=c0", "5.1|LFE=c0", "quad|BL=c0|BR=-1*c0"]
    ):
        path = tmp_path / f"{number}.wav"
        ffmpeg("-i", clip, "-af", f"pan={pan}", "-c:a", "pcm_s16le", "-ar", "16000", path)
        sound = sound_of(await everything(FileSource("x", path)))
        assert likeness(sound, reference) > 0.99, pan
        assert loudness(sound) == pytest.approx(loudness(reference), rel=0.01)
