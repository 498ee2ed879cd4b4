"""What is measured: N seconds of one speaker, short clips joined.

Corpora of words and corpora of sentences are measured alike: of N seconds of speech, always.
What does not fill N is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import read_corpora
from langidd_training.data.decoding import FRAME, SILENT_PEAK, decode, speech_mask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.data.corpus import Clip

LONGEST_S: Final = 30.0
"""Whisper's context: no passage is longer."""
SHORTEST_S: Final = 0.25
"""Less speech than this the daemon would not pass on either."""
ENOUGH: Final = 0.98
"""Of N seconds: a joined passage this near to full is full."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Speech of one speaker from its onset: `samples` `(n,) float32`, 16 kHz."""

    samples: npt.NDArray[np.float32]
    language: str
    locale: str
    corpus: str
    speaker: str

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE

    def cut(self, seconds: float) -> Passage:
        """Its first `seconds`, or all where it is shorter."""
        return self.with_samples(self.samples[: round(seconds * SAMPLE_RATE)])

    def with_samples(self, samples: npt.NDArray[np.float32]) -> Passage:
        """The same speech after something was done to it."""
        return replace(self, samples=samples)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The passages of clips, and how many clips were left out and why."""

    passages: list[Passage]
    dropped: dict[str, int]


def read_passages(
    roots: Sequence[Path],
    languages: Sequence[str],
    *,
    split: str = "dev",
    limit: int | None = None,
    seed: int = 17,
) -> Decoded:
    """Decode a split and find each clip's speech, from first to last frame of it.

    Args:
        roots: Directories of corpora, or manifests.
        languages: The targets; the rest is `other`.
        split: Which table.
        limit: At most so many clips a locale (kk and tk each, not `other` together), drawn
            in turn from its speakers.
        seed: Draws them.

    Raises:
        ConfigError: The split is empty.

    """
    clips = read_corpora(roots, languages, splits=(split,))
    return decode_clips(clips if limit is None else _few(clips, limit, seed))


def decode_clips(clips: Sequence[Clip]) -> Decoded:
    """Decode clips and find the speech of each, from its first frame to its last."""
    passages: list[Passage] = []
    dropped: Counter[str] = Counter()
    for clip in clips:
        passage = _read(clip)
        if isinstance(passage, str):
            dropped[passage] += 1
        else:
            passages.append(passage)
    return Decoded(passages, dict(dropped))


def _few(clips: list[Clip], limit: int, seed: int) -> list[Clip]:
    draw = np.random.default_rng(seed)
    by_locale: dict[str, dict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        by_locale[clip.locale][clip.speaker].append(clip)
    chosen: list[Clip] = []
    for speakers in by_locale.values():
        # Every speaker's first clip, then every speaker's second …: few clips, many voices.
        turns = [
            (turn, draw.random(), clip)
            for own in speakers.values()
            for turn, clip in enumerate(draw.permutation(np.array(own, dtype=object)))
        ]
        chosen += [clip for *_, clip in sorted(turns, key=lambda entry: entry[:2])[:limit]]
    return chosen


def _read(clip: Clip) -> Passage | str:
    """The clip's speech, or in a word why there is none."""
    try:
        samples = decode(clip.path)
    except (OSError, av.FFmpegError):
        return "broken"
    if len(samples) == 0:
        return "broken"
    if int(np.abs(samples.astype(np.int32)).max()) < SILENT_PEAK:
        return "silent"
    mask = speech_mask(samples)
    frames = np.flatnonzero(mask)
    if mask.sum() * FRAME < SHORTEST_S * SAMPLE_RATE:
        return "no speech"
    speech = samples[frames[0] * FRAME : (frames[-1] + 1) * FRAME]
    kept = speech[: round(LONGEST_S * SAMPLE_RATE)].astype(np.float32) / np.float32(32_768)
    return Passage(kept, clip.language, clip.locale, clip.corpus, clip.speaker)


def join_short(passages: Sequence[Passage], seconds: float) -> list[Passage]:
    """Passages of `seconds` each: the long ones cut, the short ones of a speaker joined."""
    joined: list[Passage] = []
    waiting: dict[tuple[str, str], list[Passage]] = defaultdict(list)
    needed = round(ENOUGH * seconds * SAMPLE_RATE)
    for passage in passages:
        if len(passage.samples) >= needed:
            joined.append(passage.cut(seconds))
            continue
        queue = waiting[passage.speaker, passage.locale]
        queue.append(passage)
        if sum(len(part.samples) for part in queue) >= needed:
            together = np.concatenate([part.samples for part in queue])
            joined.append(queue[0].with_samples(together).cut(seconds))
            queue.clear()
    return joined
