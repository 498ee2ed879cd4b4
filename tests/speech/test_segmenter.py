"""Where speech begins and ends: on real speech, on none, and whatever the chunk sizes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langidd.speech.segmenter import Segmenter
from langidd.speech.vad import FRAME_SAMPLES
from langidd.speech.vad_worker import VadWorker
from langidd.types import SAMPLE_RATE, Chunk, Pause, Speech

if TYPE_CHECKING:
    import numpy.typing as npt

    from langidd.speech.vad import Engine

START = 1_700_000_000.0


class Loud:
    """Voice activity that a test can steer: a frame is speech when it is loud."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.float32)

    def voiced(self, chunk: Chunk) -> npt.NDArray[np.bool_]:
        sound = chunk.samples if chunk.gap else np.concatenate([self._rest, chunk.samples])
        whole = len(sound) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = sound[whole:]
        loudness: npt.NDArray[np.float32] = np.abs(sound[:whole]).reshape(-1, FRAME_SAMPLES)
        return loudness.mean(axis=1) > 0.25


def _chunks(sound: npt.NDArray[np.float32], sizes: list[int]) -> list[Chunk]:
    chunks, taken = [], 0
    while taken < len(sound):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(Chunk(sound[taken : taken + size], START + taken / SAMPLE_RATE))
        taken += size
    return chunks


def _segment(sound: npt.NDArray[np.float32], sizes: list[int]) -> list[Speech | Pause]:
    segmenter, loud = Segmenter(), Loud()
    found = [
        item
        for chunk in _chunks(sound, sizes)
        for item in segmenter.push(chunk, loud.voiced(chunk))
    ]
    return found + segmenter.flush()


async def _segments(engine: Engine, some: list[Chunk]) -> list[Speech | Pause]:
    segmenter, worker = Segmenter(), VadWorker()
    voice = worker.open(engine, 2, 0.5)
    found = [item for chunk in some for item in segmenter.push(chunk, await voice.voiced(chunk))]
    worker.close()
    return found + segmenter.flush()


def _sound(*parts: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Pieces of (seconds, level); each sample is its own, so that a lost one shows."""
    pieces = [np.full(round(seconds * SAMPLE_RATE), level) for seconds, level in parts]
    sound = np.concatenate(pieces).astype(np.float32)
    return sound + np.linspace(0, 1e-2, len(sound), dtype=np.float32)


def _speech(found: list[Speech | Pause]) -> npt.NDArray[np.float32]:
    return np.concatenate([item.samples for item in found if isinstance(item, Speech)])


def _pauses(found: list[Speech | Pause]) -> list[float]:
    """Starts and ends, one after another, counted from the start of the sound."""
    pauses = [item for item in found if isinstance(item, Pause)]
    return [time - START for pause in pauses for time in (pause.start, pause.end)]


def test_a_segment_keeps_short_silence_and_a_little_sound_around_it() -> None:
    sound = _sound((2, 0), (1, 0.5), (0.3, 0), (1, 0.5), (2, 0))
    found = _segment(sound, [1600])
    is_first = [item for item in found if isinstance(item, Speech) and item.is_first]
    is_last = [item for item in found if isinstance(item, Speech) and item.is_last]
    assert len(is_first) == len(is_last) == 1
    assert is_first[0].start == pytest.approx(START + 1.8, abs=0.04)
    assert len(_speech(found)) / SAMPLE_RATE == pytest.approx(2.3 + 0.2 + 0.2, abs=0.07)


def test_a_click_is_not_speech() -> None:
    found = _segment(_sound((1, 0), (0.06, 0.5), (3, 0)), [1600])
    assert all(isinstance(item, Pause) for item in found)


def test_a_gap_ends_the_segment_and_is_reported() -> None:
    segmenter, loud = Segmenter(), Loud()
    sound = _sound((1, 0.5))
    first, second = Chunk(sound, START), Chunk(sound, START + 7.0, gap=True)
    segmenter.push(first, loud.voiced(first))
    found = segmenter.push(second, loud.voiced(second))
    assert any(isinstance(item, Speech) and item.is_last for item in found)
    gaps = [item for item in found if isinstance(item, Pause) and item.gap]
    assert [(gap.start, gap.end) for gap in gaps] == [(START + 1.0, START + 7.0)]
    later = [item for item in found if isinstance(item, Speech) and item.start >= START + 7.0]
    assert later
    assert later[0].is_first


def test_a_clock_that_is_set_is_a_gap_in_the_new_clocks_time() -> None:
    segmenter, loud = Segmenter(), Loud()
    sound = _sound((1, 0.5))
    first = Chunk(sound, START)
    second = Chunk(sound, START - 3_600.0 + 1.5, gap=True, clock_step_s=-3_600.0)
    segmenter.push(first, loud.voiced(first))
    found = segmenter.push(second, loud.voiced(second))
    assert [item for item in found if isinstance(item, Pause) and item.gap] == [
        Pause(START - 3_599.0, START - 3_598.5, gap=True, clock_step_s=-3_600.0)
    ]


def test_silence_is_reported_once_a_second_without_a_hole() -> None:
    pauses = _segment(_sound((10, 0)), [1600])
    assert all(isinstance(item, Pause) for item in pauses)
    assert 9 <= len(pauses) <= 11
    for before, after in itertools.pairwise(pauses):
        assert isinstance(before, Pause)
        assert isinstance(after, Pause)
        assert after.start == pytest.approx(before.end, abs=1e-6)


@settings(max_examples=60, deadline=None)
@example(levels=[(1.0, 0.5)], sizes=[101])
@given(
    levels=st.lists(
        st.tuples(st.floats(0.05, 1.5), st.sampled_from([0.0, 0.5])), min_size=1, max_size=8
    ),
    sizes=st.lists(st.integers(100, 20_000), min_size=1, max_size=5),
)
def test_chunk_sizes_change_nothing(levels: list[tuple[float, float]], sizes: list[int]) -> None:
    sound = _sound(*levels)
    whole = _segment(sound, [len(sound)])
    pieces = _segment(sound, sizes)
    np.testing.assert_array_equal(
        _speech([*whole, Speech(np.empty(0, np.float32), 0, 0)]),
        _speech([*pieces, Speech(np.empty(0, np.float32), 0, 0)]),
    )
    assert _pauses(whole) == pytest.approx(_pauses(pieces), abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    levels=st.lists(
        st.tuples(st.floats(0.05, 1.5), st.sampled_from([0.0, 0.5])), min_size=1, max_size=8
    )
)
def test_every_loud_frame_of_a_segment_is_in_it_once(levels: list[tuple[float, float]]) -> None:
    sound = _sound(*levels)
    for item in _segment(sound, [4800]):
        if isinstance(item, Speech) and len(item.samples):
            first = round((item.start - START) * SAMPLE_RATE)
            np.testing.assert_array_equal(item.samples, sound[first : first + len(item.samples)])


@pytest.mark.parametrize("engine", ["webrtc", "silero", "both"])
async def test_real_speech_is_found_and_its_silence_is_not(
    engine: Engine, conversation: npt.NDArray[np.float32]
) -> None:
    found = await _segments(engine, _chunks(conversation, [1600]))
    seconds = len(_speech(found)) / SAMPLE_RATE
    # The recording holds 27.9 s of clips, with the speakers' own pauses, in 31 s.
    assert 18 < seconds < 30
    last = found[-1]
    assert isinstance(last, Pause)
    assert last.end == pytest.approx(START + len(conversation) / SAMPLE_RATE, abs=1e-6)


@pytest.mark.parametrize("engine", ["silero", "both"])
@pytest.mark.parametrize("kind", ["silence", "white noise", "hum"])
async def test_what_is_not_a_voice_is_not_speech(engine: Engine, kind: str) -> None:
    time = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    hum = sum(0.3 / k * np.sin(2 * np.pi * 50 * k * time) for k in range(1, 8))
    sound = {"silence": 0 * time, "white noise": 0.1 * noise, "hum": hum + 1e-3 * noise}[kind]
    found = await _segments(engine, _chunks(sound.astype(np.float32), [FRAME_SAMPLES * 4]))
    spoken = sum(len(item.samples) for item in found if isinstance(item, Speech)) / SAMPLE_RATE
    assert spoken < 0.6, "at most a blip in a minute"
