"""`prepare`: decode once, keep the speech, count what is dropped."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import Clip, refuse_shared_speakers
from langidd_training.data.decoding import SILENT_PEAK, decode, only_speech, spoken_s
from langidd_training.data.store import SAMPLES, StoredClip, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is kept: seconds of speech a clip must have, seconds that a speaker may."""

    min_speech_s: float = 0.3
    max_clip_s: float = 60.0
    max_speaker_s: float = 3600.0
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of the clips: counts, seconds by language and split."""

    kept: int
    dropped: dict[str, int]
    seconds: dict[str, float]


def prepare(clips: Sequence[Clip], directory: Path, preparation: Preparation) -> Prepared:
    """Write the speech of `clips` into `directory`, one file and one table.

    Dropped, and counted: `broken` (no decoder reads it), `silent` (below −60 dBFS),
    `short` (less speech than asked for), `speaker` (that speaker has enough already).

    Raises:
        ConfigError: a speaker is in two splits, or nothing is left.

    """
    refuse_shared_speakers(clips)
    # The clips of a voice lie side by side, so that they can be read as one.
    clips = sorted(clips, key=lambda clip: (clip.split, clip.language, clip.locale, clip.speaker))
    directory.mkdir(parents=True, exist_ok=True)
    dropped: Counter[str] = Counter()
    per_speaker: dict[str, float] = defaultdict(float)
    stored: list[StoredClip] = []
    offset = 0
    with (directory / SAMPLES).open("wb") as file, (directory / "dropped.tsv").open("w") as log:
        for clip, speech, reason in _decoded(clips, preparation):
            if not reason and per_speaker[clip.speaker] >= preparation.max_speaker_s:
                reason = "speaker"  # noqa: PLW2901 (the clip's own verdict)
            if reason:
                dropped[reason] += 1
                log.write(f"{reason}\t{clip.path}\n")
                continue
            file.write(speech.tobytes())
            stored.append(
                StoredClip(
                    offset=offset,
                    samples=len(speech),
                    language=clip.language,
                    locale=clip.locale,
                    corpus=clip.corpus,
                    speaker=clip.speaker,
                    split=clip.split,
                    path=str(clip.path),
                )
            )
            offset += len(speech)
            per_speaker[clip.speaker] += len(speech) / SAMPLE_RATE
    if not stored:
        raise ConfigError(f"no clip is left of {len(clips)}; see {directory / 'dropped.tsv'}")
    write_table(directory, stored)
    seconds: dict[str, float] = defaultdict(float)
    for kept in stored:
        seconds[f"{kept.language}/{kept.split}"] += kept.seconds
    result = Prepared(len(stored), dict(dropped), {k: round(v, 1) for k, v in seconds.items()})
    (directory / "prepared.json").write_text(
        json.dumps(
            {"kept": result.kept, "dropped": result.dropped, "seconds": result.seconds}, indent=1
        )
    )
    return result


def _decoded(
    clips: Sequence[Clip], preparation: Preparation
) -> Iterator[tuple[Clip, npt.NDArray[np.int16], str]]:
    paths = [clip.path for clip in clips]
    limits = preparation.min_speech_s, preparation.max_clip_s
    results: Iterable[tuple[npt.NDArray[np.int16], str]]
    if preparation.workers <= 1:
        results = (_speech_of(path, *limits) for path in paths)
        yield from ((clip, *result) for clip, result in zip(clips, results, strict=True))
        return
    with ProcessPoolExecutor(preparation.workers) as pool:
        shortest, longest = ([limit] * len(paths) for limit in limits)
        results = pool.map(_speech_of, paths, shortest, longest, chunksize=16)
        yield from ((clip, *result) for clip, result in zip(clips, results, strict=True))


def _speech_of(
    path: Path, min_speech_s: float, max_clip_s: float
) -> tuple[npt.NDArray[np.int16], str]:
    nothing = np.zeros(0, np.int16)
    try:
        samples = decode(path)
    except (OSError, av.FFmpegError):
        return nothing, "broken"
    if not len(samples) or int(np.abs(samples.astype(np.int32)).max()) < SILENT_PEAK:
        return nothing, "silent"
    if spoken_s(samples) < min_speech_s:
        return nothing, "short"
    return only_speech(samples)[: int(max_clip_s * SAMPLE_RATE)], ""
