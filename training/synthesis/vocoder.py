"""People's clips through a vocoder, by another voice: WORLD (Morise et al., 2016).

RHVoice's voices speak through a vocoder, and some languages have none. If only Russian
and English were heard so, a vocoder would mean "not Uzbek". So clips of people go through
one too, and come out at another pitch and from another length of vocal tract: what a
language has few of, voices, becomes a little more.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import av
import numpy as np
import pyworld

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.data.common_voice import write_clip, write_split
from langidd_training.data.decoding import decode, only_speech

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.data.corpus import Clip

CORPUS: Final = "world"
FRAME_MS: Final = 5.0
CODED: Final = 40
"""Coefficients of the spectral envelope that are kept, as a statistical voice keeps them."""
SMOOTHED: Final = 5
"""Frames over which the envelope is averaged: statistical voices move too smoothly."""

CLIPS_A_VOICE: Final = 5
PITCH: Final = (0.75, 1.35)
FORMANTS: Final = (0.86, 1.18)


@dataclass(frozen=True, slots=True)
class Voice:
    """Another voice: factors of the pitch and of the formants' frequencies."""

    pitch: float
    formants: float


def revoiced(samples: npt.NDArray[np.float32], voice: Voice) -> npt.NDArray[np.float32]:
    """The same words by another voice: `(n,) float32` at 16 kHz in and out."""
    sound = samples.astype(np.float64)
    coarse, times = pyworld.dio(sound, SAMPLE_RATE, frame_period=FRAME_MS)
    pitch = pyworld.stonemask(sound, coarse, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(sound, pitch, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(sound, pitch, times, SAMPLE_RATE)
    coded = pyworld.code_spectral_envelope(envelope, SAMPLE_RATE, CODED)
    kernel = np.ones(SMOOTHED) / SMOOTHED
    smooth = np.apply_along_axis(np.convolve, 0, coded, kernel, "same") if len(coded) > 1 else coded
    size = (envelope.shape[1] - 1) * 2
    envelope = pyworld.decode_spectral_envelope(np.ascontiguousarray(smooth), SAMPLE_RATE, size)
    bins = np.arange(envelope.shape[1])
    warped = np.stack([np.interp(bins / voice.formants, bins, row) for row in envelope])
    result = pyworld.synthesize(pitch * voice.pitch, warped, aperiodicity, SAMPLE_RATE, FRAME_MS)
    peak = float(np.abs(result).max())
    return (result * (0.7 / peak if peak > 0 else 1.0)).astype(np.float32)


def write_corpus(
    clips: Sequence[Clip],
    directory: Path,
    *,
    per_language: int,
    seed: int = 17,
    workers: int = 2,
    longest_s: float = 6.0,
) -> dict[str, int]:
    """Revoice as many training clips of each class, in Common Voice's layout.

    Every few clips of a speaker get a voice of their own, and so become another speaker.
    Gives clips by class; those that are there already are kept. Raises LangiddError where
    there is no training clip.
    """
    training = [clip for clip in clips if clip.split == "train"]
    if not training:
        raise LangiddError("revoice: the data has no training clip")
    counts: dict[str, int] = {}
    for language in sorted({clip.language for clip in training}):
        draw = random.Random(f"{seed}-{language}")  # noqa: S311 - a reproducible draw, no secret
        own = [clip for clip in training if clip.language == language]
        chosen = sorted(draw.sample(own, min(per_language, len(own))), key=attrgetter("speaker"))
        speakers = _shared([clip.speaker for clip in chosen])
        given = {name: Voice(draw.uniform(*PITCH), draw.uniform(*FORMANTS)) for name in speakers}
        voices = [given[name] for name in speakers]
        paths = [
            directory / language / "clips" / _name(clip, voice, longest_s)
            for clip, voice in zip(chosen, voices, strict=True)
        ]
        with ProcessPoolExecutor(workers) as pool:
            limits = [longest_s] * len(chosen)
            spoken = list(pool.map(_one, chosen, voices, paths, limits, chunksize=8))
        rows = [
            (speaker, path.name, "", clip.locale, CORPUS)
            for clip, speaker, path, made in zip(chosen, speakers, paths, spoken, strict=True)
            if made
        ]
        if rows:
            write_split(directory / language / "train.tsv", rows)
        counts[language] = len(rows)
    return counts


def _shared(speakers: Sequence[str]) -> list[str]:
    """Name the new speakers: the old one's, and which of that one's voices."""
    before: Counter[str] = Counter()
    names = []
    for speaker in speakers:
        names.append(f"{speaker}+{before[speaker] // CLIPS_A_VOICE}")
        before[speaker] += 1
    return names


def _name(clip: Clip, voice: Voice, longest_s: float) -> str:
    """Name the file: the same for the same clip by the same voice, and for no other."""
    words = f"{clip.path}|{voice.pitch}|{voice.formants}|{longest_s}"
    return f"{hashlib.sha256(words.encode()).hexdigest()[:16]}.flac"


def _one(clip: Clip, voice: Voice, path: Path, longest_s: float) -> bool:
    """Revoice one clip; False where there is nothing in it to revoice."""
    if path.exists():
        return True
    try:
        speech = only_speech(decode(clip.path))[: int(longest_s * SAMPLE_RATE)]
    except (OSError, av.FFmpegError):
        return False
    if len(speech) < SAMPLE_RATE // 3:
        return False
    write_clip(path, revoiced(speech.astype(np.float32) / 32_768, voice))
    return True
