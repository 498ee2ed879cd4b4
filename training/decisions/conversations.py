"""Kinds of conversation: who speaks when, and what is in between.

The kinds:

    start     one turn of one speaker, after a little silence
    one       one language throughout, speakers taking turns
    noisy     the same, in noise 10 dB below the speech
    turns     the language changes with the speaker, every 3-20 s
    inside    the language changes within a speech segment, without a pause
    mixed     turns, with music, noise, silence and unknown languages in between
    unknown   languages that the model does not know, and no other
    nothing   noise, music, hum and silence; nobody speaks
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE
from langidd_training.decisions.clips import ClipError
from langidd_training.decisions.noises import NOISES, music, noise, unit
from langidd_training.decisions.turns import SPEECH_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from langidd_training.decisions.turns import Recording, Speakers

    Samples = npt.NDArray[np.float32]

SPAN_S: Final = (3.0, 20.0)
"""A turn's length."""


def _span_s(rng: np.random.Generator) -> float:
    return float(rng.uniform(*SPAN_S))


def _start(
    out: Recording,
    speakers: Speakers,
    _length_s: float,
    number: int,
    _tunes: Sequence[Samples],
) -> None:
    language = speakers.languages[number % len(speakers.languages)]
    out.silence(0.5, 2.0)
    out.turn(speakers.turn(language, out.rng.uniform(4.0, 7.0)))
    out.silence(0.8, 1.2)


def _one(
    out: Recording,
    speakers: Speakers,
    length_s: float,
    number: int,
    _tunes: Sequence[Samples],
) -> None:
    language = speakers.languages[number % len(speakers.languages)]
    out.silence(0.5, 2.0)
    while out.length_s < length_s:
        out.turn(speakers.turn(language, _span_s(out.rng)))
        out.silence(0.1, 1.5)


def _turns(
    out: Recording,
    speakers: Speakers,
    length_s: float,
    _number: int,
    _tunes: Sequence[Samples],
) -> None:
    language: str | None = None
    out.silence(0.5, 2.0)
    while out.length_s < length_s:
        language = speakers.another(language)
        out.turn(speakers.turn(language, _span_s(out.rng)))
        out.silence(0.1, 1.0)


def _inside(
    out: Recording,
    speakers: Speakers,
    length_s: float,
    _number: int,
    _tunes: Sequence[Samples],
) -> None:
    language: str | None = None
    out.silence(0.5, 2.0)
    while out.length_s < length_s:
        for _ in range(int(out.rng.integers(2, 5))):
            language = speakers.another(language)
            out.turn(speakers.turn(language, _span_s(out.rng)))
            out.silence(0.0, 0.1)
        out.silence(0.7, 1.5)


def _mixed(
    out: Recording,
    speakers: Speakers,
    length_s: float,
    _number: int,
    tunes: Sequence[Samples],
) -> None:
    language: str | None = None
    out.silence(0.5, 2.0)
    while out.length_s < length_s:
        language = speakers.another(language)
        out.turn(speakers.turn(language, _span_s(out.rng)))
        out.silence(0.2, 1.0)
        what = out.rng.random()
        if what < 0.25 and speakers.unknown:
            out.turn(speakers.turn(str(out.rng.choice(speakers.unknown)), _span_s(out.rng)))
        elif what < 0.75:
            _noise_or_music(out, out.rng.uniform(3.0, 12.0), tunes)
        out.silence(0.2, 1.0)


def _unknown(
    out: Recording,
    speakers: Speakers,
    length_s: float,
    number: int,
    _tunes: Sequence[Samples],
) -> None:
    if not speakers.unknown:
        raise ClipError("unknown languages: there are no clips of any (a folder `other`)")
    out.silence(0.5, 2.0)
    language = speakers.unknown[number % len(speakers.unknown)]
    while out.length_s < min(length_s, 30.0):
        out.turn(speakers.turn(language, _span_s(out.rng)))
        out.silence(0.1, 1.5)


def _nothing(
    out: Recording,
    _speakers: Speakers,
    length_s: float,
    _number: int,
    tunes: Sequence[Samples],
) -> None:
    while out.length_s < length_s:
        if out.rng.random() < 0.25:
            out.silence(5.0, 20.0)
        else:
            _noise_or_music(out, out.rng.uniform(5.0, 30.0), tunes)


def _noise_or_music(out: Recording, length_s: float, tunes: Sequence[Samples]) -> None:
    level = np.float32(SPEECH_LEVEL * 10.0 ** (out.rng.uniform(-15.0, 3.0) / 20.0))
    choice = out.rng.random()
    if choice < 0.4:
        out.sound(noise(str(out.rng.choice(NOISES)), length_s, out.rng) * level)
    elif choice < 0.7 and tunes:
        tune = tunes[int(out.rng.integers(len(tunes)))]
        at = int(out.rng.integers(max(1, len(tune) - round(length_s * SAMPLE_RATE))))
        out.sound(unit(tune[at : at + round(length_s * SAMPLE_RATE)]) * level)
    else:
        out.sound(music(length_s, out.rng) * level)


MAKERS: Final = {
    "start": _start,
    "one": _one,
    "noisy": _one,
    "turns": _turns,
    "inside": _inside,
    "mixed": _mixed,
    "unknown": _unknown,
    "nothing": _nothing,
}
