"""Labelled clips in Common Voice's layout: `<language>/<split>.tsv` beside `<language>/clips/`.

In the folder `other`, and wherever a table has it, the column `locale` says which
language a clip is in.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import av
import numpy as np

from langidd.errors import LangiddError
from langidd.speech.vad import FRAME_S
from langidd.speech.vad_worker import VadWorker
from langidd.types import SAMPLE_RATE, Chunk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

OTHER: Final = "other"
"""The folder of languages that the model does not know."""

HOLE_S: Final = 0.3
"""Silence shorter than this within a clip belongs to its speech."""


class ClipError(LangiddError):
    """Clips that are not there, or cannot be used."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of one speaker; `known`: in a language that the model knows."""

    path: Path
    language: str
    speaker: str
    source: str
    known: bool


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
    """List the clips of a split.

    With `half`, of every second speaker only (counted per language, in the order of
    their sources), so that settings can be chosen on one half and reported on the other.
    Raises `ClipError`.
    """
    clips: list[Clip] = []
    for table in sorted(speech.glob(f"*/{split}.tsv")):
        folder = table.parent
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        clips += [
            Clip(
                path=folder / "clips" / row["path"],
                language=(row.get("locale") or folder.name).lower(),
                speaker=row["client_id"],
                source=row.get("source") or "",
                known=folder.name != OTHER,
            )
            for row in rows
        ]
    if not clips:
        raise ClipError(f"{speech}: no */{split}.tsv with clips in it (Common Voice's layout)")
    return clips if half is None else _half(clips, half)


def _half(clips: list[Clip], half: Literal["a", "b"]) -> list[Clip]:
    kept: set[tuple[str, str]] = set()
    for language in {clip.language for clip in clips}:
        speakers = sorted(
            {(clip.source, _digest(clip.speaker), clip.speaker)
             for clip in clips if clip.language == language}
        )  # fmt: skip
        kept |= {(language, speaker) for _, _, speaker in speakers["ab".index(half) :: 2]}
    return [clip for clip in clips if (clip.language, clip.speaker) in kept]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def decode(path: Path) -> Samples:
    """Decode a recording to 16 kHz mono; raises `ClipError`."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces: list[Samples] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except (OSError, ValueError, IndexError) as error:  # PyAV's errors are OSErrors and ValueErrors
        raise ClipError(f"{path}: cannot be decoded: {error}") from error
    return np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)


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
