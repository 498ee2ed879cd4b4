"""Speech with pauses, cut from the demo's recording: each pause makes an event."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import av
import numpy as np

from langidd.types import SAMPLE_RATE
from tests.conftest import DEMO_RECORDING

if TYPE_CHECKING:
    from pathlib import Path

SPEECH_S = 1.3
PAUSE_S = 0.9
PERIOD_S = SPEECH_S + PAUSE_S
PIECES = 12


def write_recording(path: Path, *, skip: int = 0) -> Path:
    """Write the loudest pieces of the conversation, silence between them, as a WAV file."""
    with av.open(str(DEMO_RECORDING)) as container:
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        sound = np.concatenate(
            [
                out.to_ndarray()[0]
                for frame in container.decode(audio=0)
                for out in resampler.resample(frame)
            ]
        )
    size = round(SPEECH_S * SAMPLE_RATE)
    pieces = sound[: len(sound) // size * size].reshape(-1, size)
    loudness = np.abs(pieces.astype(np.float32)).mean(axis=1)
    chosen = np.sort(np.argsort(-loudness)[:PIECES])
    silence = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for number in np.roll(chosen, -skip):
            file.writeframes(pieces[number].tobytes() + silence.tobytes())
    return path
