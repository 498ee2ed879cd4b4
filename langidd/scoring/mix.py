"""Test conversations from labelled clips, with their truth: by rule, and by seed.

A kind of conversation stands at the beginning of its recordings' names:

    start     one turn of one speaker, after a little silence
    one       one language throughout, speakers taking turns
    noisy     the same, in noise 10 dB below the speech
    turns     the language changes with the speaker, every 3-20 s
    inside    the language changes within a stretch of speech, without a pause
    mixed     turns, with music, noise, silence and unknown languages in between
    unknown   languages that the model does not know, and no other
    nothing   noise, music, hum and silence; nobody speaks
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import numpy as np

from langidd.scoring.clips import Clip, ClipError, decode, voice
from langidd.scoring.noises import NOISES, music, noise, unit
from langidd.scoring.truth import TruthSpan, write_truth
from langidd.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

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

NOISE_DB: Final = 10.0
"""How far the noise of `noisy` lies below the speech."""

SPAN_S: Final = (3.0, 20.0)
"""A turn's length."""

_LEVEL: Final = 0.05  # RMS of speech: -26 dB of full scale, as telephony has it
_SHORTEST_TURN_S: Final = 2.0
_MOST_OF_A_SPEAKER_S: Final = 60.0


@dataclass(slots=True)
class Tape:
    """A recording in the making."""

    rng: np.random.Generator
    pieces: list[Samples] = field(default_factory=list)
    spans: list[TruthSpan] = field(default_factory=list)
    length: int = 0

    @property
    def length_s(self) -> float:
        """Seconds so far."""
        return self.length / SAMPLE_RATE

    def sound(self, samples: Samples) -> None:
        """Append what is no speech."""
        self.pieces.append(samples)
        self.length += len(samples)

    def silence(self, least_s: float, most_s: float) -> None:
        """Append silence: a noise floor 60 dB below full scale, as microphones have it."""
        size = round(self.rng.uniform(least_s, most_s) * SAMPLE_RATE)
        self.sound(self.rng.standard_normal(size).astype(np.float32) * np.float32(1e-3))

    def turn(self, turn: Turn) -> None:
        """Append a turn, and its speech to the truth."""
        at = self.length_s
        self.spans += [TruthSpan(at + start, at + end, turn.language) for start, end in turn.voiced]
        self.sound(turn.samples)

    def finish(self, noise_kind: str | None = None) -> Samples:
        """Join the pieces; add noise under all of it if asked for."""
        sound = np.concatenate(self.pieces)
        if noise_kind is not None:
            spoken = np.concatenate(
                [sound[round(span.start * SAMPLE_RATE) : round(span.end * SAMPLE_RATE)]
                 for span in self.spans]
            )  # fmt: skip
            level = np.sqrt(np.mean(np.square(spoken))) * 10.0 ** (-NOISE_DB / 20.0)
            sound = sound + noise(noise_kind, len(sound) / SAMPLE_RATE, self.rng) * level
        most = float(np.max(np.abs(sound), initial=0.0))
        return (sound * min(1.0, 0.99 / max(most, 1e-9))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says at once."""

    samples: Samples
    voiced: tuple[tuple[float, float], ...]
    language: str


class Speakers:
    """The speakers of a set of clips, chosen at random, the language first."""

    def __init__(self, clips: Sequence[Clip], rng: np.random.Generator) -> None:
        self.rng = rng
        groups: dict[tuple[bool, str], dict[tuple[str, str], list[Clip]]] = {}
        for clip in clips:
            group = groups.setdefault((clip.known, clip.language), {})
            group.setdefault((clip.source, clip.speaker), []).append(clip)
        self._groups: dict[tuple[bool, str], tuple[list[list[Clip]], npt.NDArray[np.float64]]] = {}
        for key in sorted(groups):
            people, weights = [], []
            for person in sorted(groups[key]):
                spoken = [clip for clip in groups[key][person] if voice(clip.path).length_s > 0.3]  # noqa: PLR2004 - a word
                length_s = sum(voice(clip.path).length_s for clip in spoken)
                if length_s >= _SHORTEST_TURN_S:
                    people.append(spoken)
                    weights.append(min(length_s, _MOST_OF_A_SPEAKER_S))
            if people:
                self._groups[key] = (people, np.array(weights) / sum(weights))
        self.languages = [language for known, language in self._groups if known]
        self.unknown = [language for known, language in self._groups if not known]
        if len(self.languages) < 2:  # noqa: PLR2004 - a switch needs two
            raise ClipError(f"clips of {self.languages or 'no language'}: mixes need two or more")

    def turn(self, language: str, length_s: float) -> Turn:
        """Let somebody speak for `length_s` (less where there is not so much of anybody)."""
        known = language in self.languages
        people, weights = self._groups[known, language]
        clips = people[int(self.rng.choice(len(people), p=weights))]
        pieces: list[Samples] = []
        voiced: list[tuple[float, float]] = []
        at, wanted = 0, round(length_s * SAMPLE_RATE)
        gain = 10.0 ** (self.rng.uniform(-4.0, 4.0) / 20.0) * _LEVEL
        for index in self.rng.permutation(len(clips)):
            heard = voice(clips[index].path)
            if pieces:
                pause = round(self.rng.uniform(0.15, 0.35) * SAMPLE_RATE)
                pieces.append(self.rng.standard_normal(pause).astype(np.float32) * np.float32(1e-3))
                at += pause
            voiced += [
                (at / SAMPLE_RATE + start, at / SAMPLE_RATE + end) for start, end in heard.voiced
            ]
            pieces.append(unit(heard.samples) * np.float32(gain))
            at += len(heard.samples)
            if at >= wanted:
                break
        most_s = min(at, wanted) / SAMPLE_RATE
        kept = tuple((start, min(end, most_s)) for start, end in voiced if start < most_s - 0.05)
        end = round(kept[-1][1] * SAMPLE_RATE)
        return Turn(np.concatenate(pieces)[:end], kept, language)

    def another(self, language: str | None) -> str:
        """Choose a known language other than `language`."""
        return str(self.rng.choice([name for name in self.languages if name != language]))


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
    """Write conversations as FLAC with their truth as TSV; give how many.

    songs: recordings of real music, used beside the made music. on_recording is told
    the share that is done after each. The same clips and settings give the same files.
    Raises `ClipError`.
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


def write_flac(path: Path, samples: Samples) -> None:
    """Write 16 kHz mono samples as 16-bit FLAC."""
    whole = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype(np.int16)
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        stream.format = "s16"
        for at in range(0, len(whole), 4096):
            frame = av.AudioFrame.from_ndarray(
                whole[None, at : at + 4096], format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = SAMPLE_RATE, at
            frame.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


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
            # every recording has its own chance: one kind's length moves no other's content
            rng = np.random.default_rng([settings.seed, place, number])
            speakers.rng = rng
            tape = Tape(rng)
            length_s = min(settings.length_s, max(wanted_s - made_s, 10.0))
            _MAKERS[kind](tape, speakers, length_s, number, tunes)
            noise_kind = NOISES[number % len(NOISES)] if kind == "noisy" else None
            samples = tape.finish(noise_kind)
            made_s += len(samples) / SAMPLE_RATE
            done_s += len(samples) / SAMPLE_RATE
            number += 1
            yield f"{kind}-{number:04d}", samples, tape.spans, min(1.0, done_s / whole_s)


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
        if what < 0.25 and speakers.unknown:  # noqa: PLR2004 - a quarter each, half without
            tape.turn(speakers.turn(str(tape.rng.choice(speakers.unknown)), _span_s(tape.rng)))
        elif what < 0.75:  # noqa: PLR2004
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
        if tape.rng.random() < 0.25:  # noqa: PLR2004 - a quarter of silence
            tape.silence(5.0, 20.0)
        else:
            _noise_or_music(tape, tape.rng.uniform(5.0, 30.0), tunes)


def _noise_or_music(tape: Tape, length_s: float, tunes: Sequence[Samples]) -> None:
    level = np.float32(_LEVEL * 10.0 ** (tape.rng.uniform(-15.0, 3.0) / 20.0))
    choice = tape.rng.random()
    if choice < 0.4:  # noqa: PLR2004 - of the music, half is real where there is any
        tape.sound(noise(str(tape.rng.choice(NOISES)), length_s, tape.rng) * level)
    elif choice < 0.7 and tunes:  # noqa: PLR2004
        tune = tunes[int(tape.rng.integers(len(tunes)))]
        at = int(tape.rng.integers(max(1, len(tune) - round(length_s * SAMPLE_RATE))))
        tape.sound(unit(tune[at : at + round(length_s * SAMPLE_RATE)]) * level)
    else:
        tape.sound(music(length_s, tape.rng) * level)


_MAKERS: Final = {
    "start": _start,
    "one": _one,
    "noisy": _one,
    "turns": _turns,
    "inside": _inside,
    "mixed": _mixed,
    "unknown": _unknown,
    "nothing": _nothing,
}
