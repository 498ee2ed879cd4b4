from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.config import VadSettings, WindowSettings
from langidd.decision.decider import Decider
from langidd.decision.presets import PRESETS
from langidd.errors import SourceError
from langidd.types import Calibration, Pause, Scores
from langidd_training.decisions.clips import ClipError, read_clips, voice, voiced_spans
from langidd_training.decisions.mix import MixSettings, make_mix, write_flac
from langidd_training.decisions.noises import NOISES, music, noise
from langidd_training.decisions.replay import Replay, decide, kind_of, recordings
from langidd_training.decisions.score import tally
from langidd_training.decisions.truth import read_truth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.decisions.clips import Clip

CALIBRATION = Calibration(("uz", "ru", "en", "other"), unknown=("other",))


class LevelScorer:
    """Tells languages by the last half second's loudness: enough to test what is around it."""

    calibration = CALIBRATION

    def __init__(self) -> None:
        self.windows = 0

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        self.windows += len(windows)
        levels = [float(np.abs(samples[-8_000:]).mean()) for samples in windows]
        return np.array(
            [[8.0, 0, 0, 0] if level > 0.1 else [0, 8.0, 0, 0] for level in levels],
            np.float32,
        )


@pytest.fixture(scope="module")
def clips(corpora: Path) -> list[Clip]:
    """A few clips of each language: decoding all would take minutes."""
    chosen: list[Clip] = []
    for language in ("uz", "ru", "en", "kk"):
        chosen += [clip for clip in read_clips(corpora) if clip.language == language][:12]
    return chosen


@pytest.fixture(scope="module")
def talk(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording: loud speech, a pause, soft speech."""
    long = sorted((voice(clip.path) for clip in clips), key=lambda heard: heard.length_s)[-2:]
    path = tmp_path_factory.mktemp("talk") / "talk-01.flac"
    loud = [heard.samples / np.abs(heard.samples).mean() for heard in long]
    hush = np.zeros(32_000, np.float32)
    write_flac(path, np.concatenate([hush, loud[0] * 0.2, hush, loud[1] * 0.03, hush]))
    return path


def replay(scorer: LevelScorer, cache: Path | None = None, hop_s: float = 1.0) -> Replay:
    return Replay(scorer, "model", VadSettings(), WindowSettings(hop_s=hop_s), cache=cache)


def test_a_recording_becomes_windows_and_pauses_and_then_decisions(talk: Path):
    heard = replay(LevelScorer()).hear(talk)
    assert heard.audio_s > 6.0
    times = [item.start if isinstance(item, Pause) else item.span.end for item in heard.items]
    assert times == sorted(times)
    windows = [item for item in heard.items if isinstance(item, Scores)]
    assert len(windows) > 5
    assert heard.listen_s > 0.0
    assert heard.classify_s > 0.0
    decisions = decide(heard, Decider("talk", CALIBRATION, PRESETS["fast"]))
    named = [one.language for one in decisions if one.reason == "change"]
    assert [name for name in named if name in {"uz", "ru"}][-1] == "ru"
    assert decide(heard, Decider("talk", CALIBRATION, PRESETS["fast"])) == decisions


def test_scores_are_computed_once_and_the_cache_gives_the_same_to_the_bit(
    talk: Path, tmp_path: Path
):
    scorer = LevelScorer()
    first = replay(scorer, tmp_path).hear(talk)
    asked = scorer.windows
    again = replay(scorer, tmp_path).hear(talk)
    assert scorer.windows == asked > 0
    assert again.name == first.name
    assert (again.audio_s, again.listen_s) == (first.audio_s, first.listen_s)
    for one, other in zip(first.items, again.items, strict=True):
        if isinstance(one, Pause):
            assert one == other
        else:
            assert isinstance(other, Scores)
            assert one.span == other.span
            assert np.array_equal(one.logits, other.logits)
    numbers = PRESETS["balanced"]
    assert decide(first, Decider("x", CALIBRATION, numbers)) == decide(
        again, Decider("x", CALIBRATION, numbers)
    )


def test_other_window_settings_are_heard_anew(talk: Path, tmp_path: Path):
    scorer = LevelScorer()
    replay(scorer, tmp_path).hear(talk)
    asked = scorer.windows
    replay(scorer, tmp_path, hop_s=0.5).hear(talk)
    assert scorer.windows > asked + asked // 2


def test_another_model_hears_anew(talk: Path, tmp_path: Path):
    first, other = LevelScorer(), LevelScorer()
    replay(first, tmp_path).hear(talk)
    Replay(other, "another", VadSettings(), WindowSettings(hop_s=1.0), cache=tmp_path).hear(talk)
    assert other.windows == first.windows > 0
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_what_is_no_recording_is_named(tmp_path: Path):
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"no sound")
    with pytest.raises(SourceError, match=r"broken\.flac"):
        replay(LevelScorer()).hear(broken)


def test_kinds_are_names_without_their_numbers():
    assert [kind_of(name) for name in ("turns-0012", "one_3", "talk", "42")] == [
        "turns",
        "one",
        "talk",
        "42",
    ]


def test_mixes_are_the_same_for_the_same_seed_and_others_for_another(
    clips: list[Clip], tmp_path: Path
):
    small = MixSettings(minutes=1.5, nothing_minutes=0.2, length_s=20.0)
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        mix = MixSettings(small.minutes, small.nothing_minutes, seed, small.length_s)
        assert make_mix(clips, tmp_path / name, mix) == len(recordings(tmp_path / name)) > 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {kind_of(path.stem) for path in recordings(tmp_path / "one")} == {
        "start", "one", "noisy", "turns", "inside", "mixed", "unknown", "nothing",
    }  # fmt: skip
    for name in files:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
    assert any(
        (tmp_path / "three" / name).read_bytes() != (tmp_path / "one" / name).read_bytes()
        for name in files
        if name.endswith(".flac") and (tmp_path / "three" / name).exists()
    )
    for recording in recordings(tmp_path / "one"):
        truth = read_truth(recording.with_suffix(".tsv"), recording.stem)
        languages = {span.language for span in truth.spans}
        match kind_of(recording.stem):
            case "start" | "one" | "noisy":
                assert len(languages) == 1 <= len(languages & {"uz", "ru", "en"})
            case "unknown":
                assert languages == {"kk"}
            case "nothing":
                assert not languages
            case "turns" | "inside":
                assert languages <= {"uz", "ru", "en"}


def test_the_truth_of_a_mix_is_where_speech_is_heard(clips: list[Clip], tmp_path: Path):
    make_mix(clips, tmp_path, MixSettings(minutes=0.6, nothing_minutes=0.0, length_s=15.0))
    recording = next(path for path in recordings(tmp_path) if kind_of(path.stem) == "one")
    truth = read_truth(recording.with_suffix(".tsv"), recording.stem)
    heard = replay(LevelScorer()).hear(recording)
    windows = [item for item in heard.items if isinstance(item, Scores)]
    assert truth.speech_s > 5.0
    # the pipeline's speech: the new part of each window
    spoken_s = sum(item.span.new_s for item in windows)
    assert spoken_s == pytest.approx(truth.speech_s, rel=0.35)
    result = tally("one", decide(heard, Decider("x", CALIBRATION, PRESETS["balanced"])), truth,
                   CALIBRATION.languages, heard.audio_s)  # fmt: skip
    assert result.known_s == pytest.approx(truth.speech_s)


def test_halves_share_no_speaker_and_together_are_all(corpora: Path):
    whole = read_clips(corpora)
    halves = read_clips(corpora, half="a"), read_clips(corpora, half="b")
    speakers = [{(clip.language, clip.speaker) for clip in half} for half in halves]
    assert not speakers[0] & speakers[1]
    assert len(halves[0]) + len(halves[1]) == len(whole)
    for language in ("uz", "ru", "en"):
        assert all(any(clip.language == language for clip in half) for half in halves)


def test_a_directory_without_clips_is_named(tmp_path: Path):
    with pytest.raises(ClipError, match=r"no \*/dev\.tsv"):
        read_clips(tmp_path)


@pytest.mark.parametrize("kind", [*NOISES, "music"])
def test_sounds_that_are_no_speech_are_loud_seeded_and_finite(kind: str):
    def make(seed: int) -> npt.NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        return music(3.0, rng) if kind == "music" else noise(kind, 3.0, rng)

    sound = make(1)
    assert sound.shape == (48_000,)
    assert np.isfinite(sound).all()
    assert np.sqrt(np.mean(np.square(sound))) == pytest.approx(1.0, rel=1e-3)
    assert np.array_equal(sound, make(1))
    assert not np.array_equal(sound, make(2))


def test_silence_holds_no_voice():
    assert voiced_spans(np.zeros(48_000, np.float32)) == []
