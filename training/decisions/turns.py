"""Speakers who take turns, and the recording that their turns are put together to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import SAMPLE_RATE
from langidd_training.data.corpus import OTHER, Clip
from langidd_training.decisions.clips import ClipError, voice
from langidd_training.decisions.noises import noise, unit
from langidd_training.decisions.truth import TruthSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

NOISE_DB: Final = 10.0
"""How far the noise under a recording lies below the speech."""

SPEECH_LEVEL: Final = 0.05
"""RMS of speech: -26 dB of full scale, as telephony has it."""

_SHORTEST_TURN_S: Final = 2.0
_MOST_OF_A_SPEAKER_S: Final = 60.0


@dataclass(slots=True)
class Recording:
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
            group = groups.setdefault((clip.language != OTHER, clip.locale), {})
            group.setdefault((clip.corpus, clip.speaker), []).append(clip)
        self._groups: dict[tuple[bool, str], tuple[list[list[Clip]], npt.NDArray[np.float64]]] = {}
        for key in sorted(groups):
            people, weights = [], []
            for person in sorted(groups[key]):
                spoken = [clip for clip in groups[key][person] if voice(clip.path).length_s > 0.3]
                length_s = sum(voice(clip.path).length_s for clip in spoken)
                if length_s >= _SHORTEST_TURN_S:
                    people.append(spoken)
                    weights.append(min(length_s, _MOST_OF_A_SPEAKER_S))
            if people:
                self._groups[key] = (people, np.array(weights) / sum(weights))
        self.languages = [language for known, language in self._groups if known]
        self.unknown = [language for known, language in self._groups if not known]
        if len(self.languages) < 2:
            raise ClipError(f"clips of {self.languages or 'no language'}: mixes need two or more")

    def turn(self, language: str, length_s: float) -> Turn:
        """Let somebody speak for `length_s` (less where there is not so much of anybody)."""
        known = language in self.languages
        people, weights = self._groups[known, language]
        clips = people[int(self.rng.choice(len(people), p=weights))]
        pieces: list[Samples] = []
        voiced: list[tuple[float, float]] = []
        at, wanted = 0, round(length_s * SAMPLE_RATE)
        gain = 10.0 ** (self.rng.uniform(-4.0, 4.0) / 20.0) * SPEECH_LEVEL
        for index in self.rng.permutation(len(clips)):
            speech = voice(clips[index].path)
            if pieces:
                pause = round(self.rng.uniform(0.15, 0.35) * SAMPLE_RATE)
                pieces.append(self.rng.standard_normal(pause).astype(np.float32) * np.float32(1e-3))
                at += pause
            voiced += [
                (at / SAMPLE_RATE + start, at / SAMPLE_RATE + end) for start, end in speech.voiced
            ]
            pieces.append(unit(speech.samples) * np.float32(gain))
            at += len(speech.samples)
            if at >= wanted:
                break
        most_s = min(at, wanted) / SAMPLE_RATE
        kept = tuple((start, min(end, most_s)) for start, end in voiced if start < most_s - 0.05)
        end = round(kept[-1][1] * SAMPLE_RATE)
        return Turn(np.concatenate(pieces)[:end], kept, language)

    def another(self, language: str | None) -> str:
        """Choose a known language other than `language`."""
        return str(self.rng.choice([name for name in self.languages if name != language]))
