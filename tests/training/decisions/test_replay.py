from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.config import VadSettings, WindowSettings
from langidd.decision.decider import Decider
from langidd.decision.presets import PRESETS
from langidd.errors import ModelError, SourceError
from langidd.types import Pause, Scores
from langidd_training.data.common_voice import write_flac
from langidd_training.data.fingerprint import model_fingerprint
from langidd_training.decisions.clips import ClipError, read_clips, voice, voiced_spans
from langidd_training.decisions.mix import MixSettings, make_mix
from langidd_training.decisions.noises import NOISES, music, noise
from langidd_training.decisions.replay import (
    Replay,
    decide,
    kind_of,
    recordings,
)
from langidd_training.decisions.score import tally
from langidd_training.decisions.truth import read_truth
from tests.support.fake_model import CALIBRATION, FakeModel

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from langidd.types import Window
    from langidd_training.data.corpus import Clip


def by_level(window: Window) -> list[float]:
    """Tell languages by the last half second's loudness: enough to test what is around it."""
    level = float(np.abs(window.samples[-8_000:]).mean())
    return [8.0, 0, 0, 0] if level > 0.1 else [0, 8.0, 0, 0]


def windows_of(model: FakeModel) -> int:
    return sum(map(len, model.batches))


@pytest.fixture(scope="module")
def clips(corpora: Path) -> list[Clip]:
    """A few clips of each language: decoding all would take minutes."""
    chosen: list[Clip] = []
    for language in ("uz", "ru", "en", "kk"):
        chosen += [clip for clip in read_clips(corpora) if clip.locale == language][:12]
    return chosen


@pytest.fixture(scope="module")
def talk(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording: loud speech, a pause, soft speech."""
    long = sorted((voice(clip.path) for clip in clips), key=lambda one: one.length_s)[-2:]
    path = tmp_path_factory.mktemp("talk") / "talk-01.flac"
    loud = [scored.samples / np.abs(scored.samples).mean() for scored in long]
    hush = np.zeros(32_000, np.float32)
    write_flac(path, np.concatenate([hush, loud[0] * 0.2, hush, loud[1] * 0.03, hush]))
    return path


def replay(model: FakeModel, cache: Path | None = None, hop_s: float = 1.0) -> Replay:
    return Replay(model, "model", VadSettings(), WindowSettings(hop_s=hop_s), cache=cache)


def test_a_recording_becomes_windows_and_pauses_and_then_decisions(talk: Path):
    scored = replay(FakeModel(by_level)).score(talk)
    assert scored.audio_s > 6.0
    times = [item.start if isinstance(item, Pause) else item.span.end for item in scored.items]
    assert times == sorted(times)
    windows = [item for item in scored.items if isinstance(item, Scores)]
    assert len(windows) > 5
    assert scored.other_s > 0.0
    assert scored.model_s > 0.0
    decisions = decide(scored, Decider("talk", CALIBRATION, PRESETS["fast"]))
    named = [one.language for one in decisions if one.reason == "change"]
    assert [name for name in named if name in {"uz", "ru"}][-1] == "ru"
    assert decide(scored, Decider("talk", CALIBRATION, PRESETS["fast"])) == decisions


def test_scores_are_computed_once_and_the_cache_gives_the_same_to_the_bit(
    talk: Path, tmp_path: Path
):
    model = FakeModel(by_level)
    first = replay(model, tmp_path).score(talk)
    asked = windows_of(model)
    again = replay(model, tmp_path).score(talk)
    assert windows_of(model) == asked > 0
    assert again.name == first.name
    assert (again.audio_s, again.model_s) == (first.audio_s, first.model_s)
    for one, other in zip(first.items, again.items, strict=True):
        if isinstance(one, Pause):
            assert one == other
        else:
            assert isinstance(other, Scores)
            assert one.span == other.span
            assert np.array_equal(one.logits, other.logits)
            assert one.probabilities == other.probabilities
    numbers = PRESETS["balanced"]
    assert decide(first, Decider("x", CALIBRATION, numbers)) == decide(
        again, Decider("x", CALIBRATION, numbers)
    )


def test_other_window_settings_are_scored_again(talk: Path, tmp_path: Path):
    model = FakeModel(by_level)
    replay(model, tmp_path).score(talk)
    asked = windows_of(model)
    replay(model, tmp_path, hop_s=0.5).score(talk)
    assert windows_of(model) > asked + asked // 2


def test_another_model_scores_again(talk: Path, tmp_path: Path):
    first, other = FakeModel(by_level), FakeModel(by_level)
    replay(first, tmp_path).score(talk)
    Replay(other, "another", VadSettings(), WindowSettings(hop_s=1.0), cache=tmp_path).score(talk)
    assert windows_of(other) == windows_of(first) > 0
    assert len(list(tmp_path.glob("*.npz"))) == 2


def in_hub_cache(cache: Path, name: str, weights: bytes) -> None:
    """Lay a model where `huggingface_hub` keeps what it has fetched."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    snapshot = repository / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(weights)


def test_two_models_of_the_hub_share_no_scores(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    in_hub_cache(tmp_path / "hub", "a/one", b"weights of one")
    in_hub_cache(tmp_path / "hub", "b/two", b"weights of two")
    models = {}
    for name in ("a/one", "b/two"):
        models[name] = FakeModel(by_level)
        fingerprint = model_fingerprint(name)
        Replay(
            models[name], fingerprint, VadSettings(), WindowSettings(), cache=tmp_path / "scores"
        ).score(talk)
    assert windows_of(models["b/two"]) == windows_of(models["a/one"]) > 0
    with pytest.raises(ModelError, match="c/three"):
        model_fingerprint("c/three")


def test_a_fingerprint_follows_weights_and_configuration(tmp_path: Path):
    prints = []
    for weights, config in ((b"1", "{}"), (b"2", "{}"), (b"1", "[]"), (b"1", "{}")):
        (tmp_path / "model.safetensors").write_bytes(weights)
        (tmp_path / "config.json").write_text(config)
        prints.append(model_fingerprint(str(tmp_path)))
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        model_fingerprint(str(tmp_path))


def test_what_is_no_recording_is_named(tmp_path: Path):
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"no sound")
    with pytest.raises(SourceError, match=r"broken\.flac"):
        replay(FakeModel(by_level)).score(broken)


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
    scored = replay(FakeModel(by_level)).score(recording)
    windows = [item for item in scored.items if isinstance(item, Scores)]
    assert truth.speech_s > 5.0
    # the pipeline's speech: the new part of each window
    spoken_s = sum(item.span.new_s for item in windows)
    assert spoken_s == pytest.approx(truth.speech_s, rel=0.35)
    result = tally("one", decide(scored, Decider("x", CALIBRATION, PRESETS["balanced"])), truth,
                   CALIBRATION.languages, scored.audio_s)  # fmt: skip
    assert result.known_s == pytest.approx(truth.speech_s)


def test_halves_share_no_speaker_and_together_are_all(corpora: Path):
    whole = read_clips(corpora)
    halves = read_clips(corpora, half="a"), read_clips(corpora, half="b")
    speakers = [{(clip.locale, clip.speaker) for clip in half} for half in halves]
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
