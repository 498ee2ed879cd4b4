"""Kinds of conversation: who speaks when, and what is heard in between.

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
from langidd_training.decisions.talk import SPEECH_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from langidd_training.decisions.talk import Speakers, Tape

    Samples = npt.NDArray[np.float32]

SPAN_S: Final = (3.0, 20.0)
"""A turn's length."""


def _span_s(rng: np.random.Generator) -> float:
    return float(rng.uniform(*SPAN_S))


def _start(
    tape: Tape, speakers: Speakers, _length_s: float, number: int, _tunes: Sequence[Samples]
) -> None:
    language = speakers.languages[number % len(speakers.languages)]
    tape.silence(0.5, 2.0)
    tape.turn(speakers.turn(language, tape.rng.uniform(4.0, 7.0)))
    tape.silence(0.8, 1.2)


def _one(
    tape: Tape, speakers: Speakers, length_s: float, number: int, _tunes: Sequence[Samples]
) -> None:
    language = speakers.languages[number % len(speakers.languages)]
    tape.silence(0.5, 2.0)
    while tape.length_s < length_s:
        tape.turn(speakers.turn(language, _span_s(tape.rng)))
        tape.silence(0.1, 1.5)


def _turns(
    tape: Tape, speakers: Speakers, length_s: float, _number: int, _tunes: Sequence[Samples]
) -> None:
    language: str | None = None
    tape.silence(0.5, 2.0)
    while tape.length_s < length_s:
        language = speakers.another(language)
        tape.turn(speakers.turn(language, _span_s(tape.rng)))
        tape.silence(0.1, 1.0)


def _inside(
    tape: Tape, speakers: Speakers, length_s: float, _number: int, _tunes: Sequence[Samples]
) -> None:
    language: str | None = None
    tape.silence(0.5, 2.0)
    while tape.length_s < length_s:
        for _ in range(int(tape.rng.integers(2, 5))):
            language = speakers.another(language)
            tape.turn(speakers.turn(language, _span_s(tape.rng)))
            tape.silence(0.0, 0.1)
        tape.silence(0.7, 1.5)


def _mixed(
    tape: Tape, speakers: Speakers, length_s: float, _number: int, tunes: Sequence[Samples]
) -> None:
    language: str | None = None
    tape.silence(0.5, 2.0)
    while tape.length_s < length_s:
        language = speakers.another(language)
        tape.turn(speakers.turn(language, _span_s(tape.rng)))
        tape.silence(0.2, 1.0)
        what = tape.rng.random()
        if what < 0.25 and speakers.unknown:
            tape.turn(speakers.turn(str(tape.rng.choice(speakers.unknown)), _span_s(tape.rng)))
        elif what < 0.75:
            _noise_or_music(tape, tape.rng.uniform(3.0, 12.0), tunes)
        tape.silence(0.2, 1.0)


def _unknown(
    tape: Tape, speakers: Speakers, length_s: float, number: int, _tunes: Sequence[Samples]
) -> None:
    if not speakers.unknown:
        raise ClipError("unknown languages: there are no clips of any (a folder `other`)")
    tape.silence(0.5, 2.0)
    language = speakers.unknown[number % len(speakers.unknown)]
    while tape.length_s < min(length_s, 30.0):
        tape.turn(speakers.turn(language, _span_s(tape.rng)))
        tape.silence(0.1, 1.5)


def _nothing(
    tape: Tape, _speakers: Speakers, length_s: float, _number: int, tunes: Sequence[Samples]
) -> None:
    while tape.length_s < length_s:
        if tape.rng.random() < 0.25:
            tape.silence(5.0, 20.0)
        else:
            _noise_or_music(tape, tape.rng.uniform(5.0, 30.0), tunes)


def _noise_or_music(tape: Tape, length_s: float, tunes: Sequence[Samples]) -> None:
    level = np.float32(SPEECH_LEVEL * 10.0 ** (tape.rng.uniform(-15.0, 3.0) / 20.0))
    choice = tape.rng.random()
    if choice < 0.4:
        tape.sound(noise(str(tape.rng.choice(NOISES)), length_s, tape.rng) * level)
    elif choice < 0.7 and tunes:
        tune = tunes[int(tape.rng.integers(len(tunes)))]
        at = int(tape.rng.integers(max(1, len(tune) - round(length_s * SAMPLE_RATE))))
        tape.sound(unit(tune[at : at + round(length_s * SAMPLE_RATE)]) * level)
    else:
        tape.sound(music(length_s, tape.rng) * level)


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
