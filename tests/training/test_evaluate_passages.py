"""The passages that an evaluation measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from langidd.errors import LangiddError
from langidd_training.evaluation.passages import Passage, join_short, read_passages

if TYPE_CHECKING:
    from pathlib import Path


RATE = 16_000


def passage(seconds: float, speaker: str = "a", level: float = 0.1, locale: str = "ru") -> Passage:
    samples = np.full(round(seconds * RATE), level, np.float32)
    return Passage(samples, "ru", locale, "words", speaker)


def test_short_clips_of_one_speaker_are_joined_in_order():
    found = join_short([passage(0.5, level=0.1), passage(0.5, level=0.2), passage(0.5)], 1.0)
    assert len(found) == 1
    assert found[0].duration_s == 1.0
    assert found[0].samples[[0, -1]] == pytest.approx([0.1, 0.2])


def test_speakers_and_locales_are_never_mixed():
    assert join_short([passage(0.6, "a"), passage(0.6, "b")], 1.0) == []
    assert join_short([passage(0.6, locale="uk"), passage(0.6, locale="bg")], 1.0) == []


def test_long_clips_are_cut_and_stay_alone():
    found = join_short([passage(5, level=0.3), passage(0.5), passage(2, level=0.4)], 1.0)
    assert [round(float(entry.samples[0]), 1) for entry in found] == [0.3, 0.4]
    assert all(entry.duration_s == 1.0 for entry in found)


def test_cut_keeps_what_is_shorter():
    assert passage(0.7).cut(1.0).duration_s == pytest.approx(0.7)
    assert passage(7).cut(3.0).duration_s == 3.0


def corpus(directory: Path, clips: list[tuple[str, np.ndarray]]):
    """A Common Voice directory of (speaker, samples) clips in Russian."""
    (directory / "ru" / "clips").mkdir(parents=True)
    rows = ["client_id\tpath\tsentence\tlocale\tsource"]
    for number, (speaker, samples) in enumerate(clips):
        name = f"{number}.flac"
        soundfile.write(directory / "ru" / "clips" / name, samples, RATE)
        rows.append(f"{speaker}\t{name}\t\tru\tmade")
    (directory / "ru" / "dev.tsv").write_text("\n".join(rows) + "\n")
    return directory


def real_speech(speech: Path):
    """Some seconds of a real clip, without the silence before and after."""
    found = read_passages([speech / "uz"], ["uz", "ru", "en"], limit=1)
    return found.passages[0].samples[: 3 * RATE]


def test_speech_is_found_in_its_silence(corpora: Path, tmp_path: Path):
    voice = real_speech(corpora)
    silence = np.zeros(RATE, np.float32)
    clips = [("a", np.concatenate([silence, voice, silence])), ("b", np.zeros(RATE))]
    found = read_passages([corpus(tmp_path, clips)], ["uz", "ru", "en"])
    assert found.dropped == {"silent": 1}
    (found_passage,) = found.passages
    assert found_passage.duration_s == pytest.approx(3.0, abs=0.7)
    assert found_passage.speaker == "made/a"
    # It begins where somebody speaks, not in the second of silence before.
    assert (
        np.abs(found_passage.samples[: RATE // 2]).max() > 0.1 * np.abs(found_passage.samples).max()
    )


def test_broken_clips_are_counted(tmp_path: Path):
    place = corpus(tmp_path, [("a", np.zeros(RATE))])
    (place / "ru" / "clips" / "0.flac").write_bytes(b"no audio")
    found = read_passages([place], ["ru"])
    assert (found.passages, found.dropped) == ([], {"broken": 1})


def test_a_limit_takes_all_speakers_before_a_second_clip_of_one(corpora: Path):
    found = read_passages([corpora / "en"], ["uz", "ru", "en"], limit=8)
    assert len(found.passages) <= 8
    assert len({found_passage.speaker for found_passage in found.passages}) == len(found.passages)


def test_a_split_that_is_not_there_is_said_in_one_line(speech: Path):
    with pytest.raises(LangiddError, match=r"no recordings in the split 'test'"):
        read_passages([speech / "uz"], ["uz"], split="test")
