"""Test conversations from labelled clips, with their truth: by rule, and by seed.

A kind of conversation (`conversations`) stands at the beginning of its recordings' names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE
from langidd_training.data.common_voice import write_flac
from langidd_training.decisions.clips import decode
from langidd_training.decisions.conversations import MAKERS
from langidd_training.decisions.noises import NOISES
from langidd_training.decisions.truth import TruthSpan, write_truth
from langidd_training.decisions.turns import Recording, Speakers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.data.corpus import Clip

    Samples = npt.NDArray[np.float32]

SHARES: Final = {
    "start": 0.14,
    "one": 0.24,
    "noisy": 0.16,
    "turns": 0.2,
    "inside": 0.08,
    "mixed": 0.1,
    "unknown": 0.08,
}
"""What part of the speech goes into which kind."""


@dataclass(frozen=True, slots=True)
class MixSettings:
    """What to make: minutes of speech (kinds by `SHARES`), and of nothing, from which seed."""

    minutes: float = 60.0
    nothing_minutes: float = 60.0
    seed: int = 0
    length_s: float = 120.0


def make_mix(
    clips: Sequence[Clip],
    out: Path,
    settings: MixSettings,
    *,
    songs: Sequence[Path] = (),
    on_recording: Callable[[float], object] = bool,
) -> int:
    """Write conversations as FLAC with their truth as TSV.

    The same clips and settings give the same files.

    Args:
        clips: What is spoken.
        out: The directory.
        settings: How much, and from which seed.
        songs: Recordings of real music, used beside the made music.
        on_recording: Is given the share that is done, after each.

    Returns:
        How many there are.

    Raises:
        ClipError: A clip cannot be decoded, or there are fewer than two languages.

    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(settings.seed)
    speakers = Speakers(clips, rng)
    tunes = [decode(song) for song in songs]
    count = 0
    for name, samples, spans, share in _recordings(speakers, settings, tunes):
        write_flac(out / f"{name}.flac", samples)
        write_truth(out / f"{name}.tsv", spans)
        count += 1
        on_recording(share)
    about = {
        "minutes": settings.minutes,
        "nothing_minutes": settings.nothing_minutes,
        "seed": settings.seed,
        "length_s": settings.length_s,
        "clips": len(clips),
        "songs": [song.name for song in songs],
    }
    (out / "mix.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return count


def _recordings(
    speakers: Speakers, settings: MixSettings, tunes: Sequence[Samples]
) -> Iterator[tuple[str, Samples, list[TruthSpan], float]]:
    whole_s = 60.0 * (settings.minutes + settings.nothing_minutes)
    done_s = 0.0
    plan = {kind: 60.0 * settings.minutes * share for kind, share in SHARES.items()}
    plan["nothing"] = 60.0 * settings.nothing_minutes
    for place, (kind, wanted_s) in enumerate(plan.items()):
        made_s, number = 0.0, 0
        while made_s < wanted_s:
            # Every recording has its own seed: the length of one kind changes no other.
            rng = np.random.default_rng([settings.seed, place, number])
            speakers.rng = rng
            recording = Recording(rng)
            length_s = min(settings.length_s, max(wanted_s - made_s, 10.0))
            MAKERS[kind](recording, speakers, length_s, number, tunes)
            noise_kind = NOISES[number % len(NOISES)] if kind == "noisy" else None
            samples = recording.finish(noise_kind)
            made_s += len(samples) / SAMPLE_RATE
            done_s += len(samples) / SAMPLE_RATE
            number += 1
            yield f"{kind}-{number:04d}", samples, recording.spans, min(1.0, done_s / whole_s)
