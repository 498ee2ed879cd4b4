"""The clips that conversations are mixed from: their speakers, their sound cut to speech."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import av
import numpy as np

from langidd.errors import ConfigError, LangiddError
from langidd.speech.vad import FRAME_S
from langidd.speech.vad_worker import VadWorker
from langidd.types import SAMPLE_RATE, Chunk
from langidd_training.data import decoding
from langidd_training.data.corpus import Clip, named_languages, read_corpora

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

HOLE_S: Final = 0.3
"""Silence shorter than this within a clip belongs to its speech."""


class ClipError(LangiddError):
    """Clips that are not there, or cannot be used."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A clip's sound: `samples` at 16 kHz, cut to its speech; `voiced` spans in seconds."""

    samples: Samples
    voiced: tuple[tuple[float, float], ...]

    @property
    def length_s(self) -> float:
        """Seconds from the first voice to the last."""
        return len(self.samples) / SAMPLE_RATE


def read_clips(
    speech: Path, split: str = "dev", half: Literal["a", "b"] | None = None
) -> list[Clip]:
    """List the clips of a split of a directory in Common Voice's layout.

    Args:
        speech: Holds `<language>/<split>.tsv` beside `<language>/clips/`.
        split: Which table.
        half: Every second speaker only (counted per language, in the order of their corpora),
            so that settings can be chosen on one half and reported on the other.

    Raises:
        ClipError: There are none.

    """
    try:
        clips = read_corpora([speech], named_languages([speech], [split]), splits=[split])
    except ConfigError as error:
        raise ClipError(f"{speech}: no */{split}.tsv with clips in it") from error
    return clips if half is None else _half(clips, half)


def _half(clips: list[Clip], half: Literal["a", "b"]) -> list[Clip]:
    kept: set[tuple[str, str]] = set()
    for locale in {clip.locale for clip in clips}:
        speakers = sorted({_order(clip) for clip in clips if clip.locale == locale})
        kept |= {(locale, speaker) for _, _, speaker in speakers["ab".index(half) :: 2]}
    return [clip for clip in clips if (clip.locale, clip.speaker) in kept]


def _order(clip: Clip) -> tuple[str, str, str]:
    own_name = clip.speaker.removeprefix(f"{clip.corpus}/")
    return clip.corpus, _digest(own_name), clip.speaker


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def decode(path: Path) -> Samples:
    """Decode a recording to 16 kHz mono within ±1.

    Raises:
        ClipError: It is not there, or is no audio.

    """
    try:
        return decoding.decode(path).astype(np.float32) / np.float32(32_768)
    except (OSError, av.FFmpegError) as error:
        raise ClipError(f"{path}: cannot be decoded: {error}") from error


@lru_cache(maxsize=4096)
def voice(path: Path) -> Voice:
    """Decode a clip and find its speech with Silero's detector; silence around it is cut off.

    A clip without a voice gives an empty `Voice`.
    """
    samples = decode(path)
    spans = voiced_spans(samples)
    if not spans:
        return Voice(np.zeros(0, np.float32), ())
    first, last = spans[0][0], spans[-1][1]
    cut = samples[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
    return Voice(cut, tuple((start - first, end - first) for start, end in spans))


def voiced_spans(samples: Samples, threshold: float = 0.5) -> list[tuple[float, float]]:
    """Find speech: `(start, end)` in seconds, holes under 0.3 s closed."""
    worker = VadWorker()
    voice = worker.open("silero", 0, threshold)
    voiced = asyncio.run(voice.voiced(Chunk(samples, 0.0)))
    worker.close()
    spans: list[tuple[float, float]] = []
    for index in np.flatnonzero(voiced).tolist():
        start = index * FRAME_S
        if spans and start - spans[-1][1] < HOLE_S:
            spans[-1] = (spans[-1][0], start + FRAME_S)
        else:
            spans.append((start, start + FRAME_S))
    return spans
