from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langidd_training.decisions.truth import (
    Truth,
    TruthError,
    TruthSpan,
    find_truth,
    read_truth,
    write_truth,
)

if TYPE_CHECKING:
    from pathlib import Path

SPANS = (TruthSpan(1.0, 3.0, "uz"), TruthSpan(3.5, 4.0, "uz"), TruthSpan(4.0, 10.0, "ru"))


@pytest.mark.parametrize("ending", ["rttm", "tsv"])
def test_what_is_written_is_read_again(tmp_path: Path, ending: str):
    path = tmp_path / f"talk.{ending}"
    write_truth(path, SPANS)
    assert read_truth(path, "talk") == Truth(SPANS)


def test_rttm_of_several_recordings_gives_the_one_asked_for(tmp_path: Path):
    path = tmp_path / "all.rttm"
    path.write_text(
        "SPEAKER one 1 0 9 <NA> <NA> anna <NA> <NA>\n"
        "LANGUAGE one 1 0.5 2.0 <NA> <NA> UZ <NA> <NA>\n"
        "LANGUAGE two.wav 1 1.0 2.0 <NA> <NA> ru\n",
        encoding="utf-8",
    )
    assert read_truth(path, "one").spans == (TruthSpan(0.5, 2.5, "uz"),)
    assert read_truth(path, "two").spans == (TruthSpan(1.0, 3.0, "ru"),)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.tsv", "start\tend\n1\t2\n", "lacks language"),
        ("a.tsv", "start\tend\tlanguage\n1\tx\tuz\n", "line 2: a time is no number"),
        ("a.tsv", "start\tend\tlanguage\n2\t1\tuz\n", "line 2: a span needs"),
        ("a.tsv", "start\tend\tlanguage\n1\t3\tuz\n2\t4\tru\n", "two languages at once"),
        ("a.rttm", "LANGUAGE a 1 1\n", "line 1: 4 fields"),
        ("a.rttm", "LANGUAGE a 1 one 2 <NA> <NA> uz\n", "line 1: a time is no number"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, says: str):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TruthError, match=says):
        read_truth(path, "a")


def test_truth_is_found_beside_the_recording_or_where_it_is_said_to_be(tmp_path: Path):
    recording = tmp_path / "talk.flac"
    elsewhere = tmp_path / "truths"
    elsewhere.mkdir()
    with pytest.raises(TruthError, match=r"no truth for it; put talk\.rttm or talk\.tsv"):
        find_truth(recording, None)
    beside = tmp_path / "talk.tsv"
    write_truth(beside, SPANS)
    apart = elsewhere / "talk.rttm"
    write_truth(apart, SPANS)
    assert find_truth(recording, None) == beside
    assert find_truth(recording, elsewhere) == apart
    assert find_truth(recording, beside) == beside


def test_speech_is_counted_and_pauses_are_not():
    truth = Truth(SPANS)
    assert truth.speech_s == 8.5
    assert [truth.speech_until(time) for time in (0.0, 2.0, 3.25, 4.0, 5.0, 99.0)] == [
        0.0,
        1.0,
        2.0,
        2.5,
        3.5,
        8.5,
    ]
    assert [truth.language_at(time) for time in (0.5, 1.0, 3.2, 4.0, 50.0)] == [
        None,
        "uz",
        "uz",
        "ru",
        "ru",
    ]
    assert [truth.speaking_at(time) for time in (0.5, 1.0, 3.2, 4.0, 10.0)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert truth.turns() == [TruthSpan(1.0, 4.0, "uz"), TruthSpan(4.0, 10.0, "ru")]


@given(st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.0, 5.0)), min_size=1, max_size=10))
def test_speech_until_rises_from_nought_to_all(pieces: list[tuple[float, float]]):
    at, spans = 0.0, []
    for length, hole in pieces:
        spans.append(TruthSpan(at + hole, at + hole + length, "uz"))
        at += hole + length
    truth = Truth(tuple(spans))
    spoken_s = [truth.speech_until(at * step / 20) for step in range(21)]
    assert spoken_s == sorted(spoken_s)
    assert spoken_s[-1] == pytest.approx(sum(length for length, _ in pieces))
