"""Which pieces of which clips make up a batch: balanced, joined, cropped."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.utils.data import Dataset

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE
from langidd_training.augment.augment import Augmentation, augmented, changed_speed, speed_factor
from langidd_training.fit.features import PADDED_SAMPLES, log_mel, masked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from langidd_training.data.store import Store, StoredClip

    Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a batch is drawn.

    `lengths_s` and `length_weights`: how long its windows are. `seconds`: how much
    sound a batch holds, whatever the length. `padded`: how many batches of a hundred
    are zero-padded to 30 s (of `padded_batch` windows), as a stock checkpoint is used.
    `language_weights`: how much of each class. `temper`: 1 draws corpora by their
    minutes, 0 all alike. `corpus_weights`: a factor for some corpora. `synthetic`: the
    share of every class, the same for all, that is synthesised where there is any.
    `onset` and `ending`: the share of windows that begin where a clip's speech begins, and
    that end where it ends. A listener's first window is always of that kind, and a random
    place in a clip of many seconds next to never is: without it a voice that sets in is what
    the languages sound like of which there are single words.
    """

    lengths_s: tuple[float, ...] = (0.8, 1.1, 2.0, 3.0, 4.0, 6.0, 10.0)
    length_weights: tuple[float, ...] = (0.2, 0.27, 0.24, 0.14, 0.08, 0.05, 0.02)
    seconds: float = 40.0
    padded: float = 0.08
    padded_batch: int = 4
    language_weights: Mapping[str, float] = field(default_factory=dict)
    temper: float = 0.5
    corpus_weights: Mapping[str, float] = field(default_factory=dict)
    synthetic: float = 0.15
    onset: float = 0.0
    ending: float = 0.0


ONSET_SPREAD_S: Final = 0.15
"""How far into a clip a window at its onset may begin: what `prepare` keeps before speech."""

SYNTHETIC: Final = "espeak-ng"
"""The corpus that `speak` writes."""


class Drawer:
    """Draws clips: language, then locale and corpus, then speaker, then clip."""

    def __init__(self, clips: Sequence[StoredClip], sampling: Sampling) -> None:
        tree: dict[str, dict[str, dict[str, list[StoredClip]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for clip in clips:
            tree[clip.language][f"{clip.locale}/{clip.corpus}"][clip.speaker].append(clip)
        if not tree:
            raise ConfigError("no clip to train on; look at what `prepare` kept")
        self._languages = _Choice(
            {language: sampling.language_weights.get(language, 1.0) for language in tree}
        )
        self._corpora: dict[str, _Choice] = {}
        self._speakers: dict[tuple[str, str], _Choice] = {}
        self._clips = {
            (language, corpus, speaker): found
            for language, corpora in tree.items()
            for corpus, speakers in corpora.items()
            for speaker, found in speakers.items()
        }
        for language, corpora in tree.items():
            weights = {}
            for corpus, speakers in corpora.items():
                seconds = {
                    speaker: sum(clip.seconds for clip in found)
                    for speaker, found in speakers.items()
                }
                self._speakers[language, corpus] = _Choice(
                    {speaker: value**sampling.temper for speaker, value in seconds.items()}
                )
                factor = _factor(sampling.corpus_weights, corpus)
                weights[corpus] = factor * sum(seconds.values()) ** sampling.temper
            self._corpora[language] = _Choice(_with_share(weights, sampling.synthetic))

    def clips(self, samples: int, rng: np.random.Generator) -> list[StoredClip]:
        """Draw clips of one speaker that are `samples` long together, where it has as many."""
        language = self._languages.draw(rng)
        corpus = self._corpora[language].draw(rng)
        speaker = self._speakers[language, corpus].draw(rng)
        found = self._clips[language, corpus, speaker]
        weights = np.cumsum([clip.samples for clip in found])
        first = found[int(np.searchsorted(weights, rng.integers(weights[-1]), side="right"))]
        drawn, have = [first], first.samples
        if have < samples:
            for index in rng.permutation(len(found)):
                if found[index] is not first:
                    drawn.append(found[index])
                    have += found[index].samples
                if have >= samples:
                    break
        return drawn


class Batches(Dataset[dict[str, torch.Tensor]]):
    """Item `i` is the `i`-th batch: the same for the same seed, whoever asks and when.

    So a run that was killed goes on with the batches it had not seen, and several
    processes share the work by index. A batch is `input_features (b, 80, frames)` and
    `labels (b,)`; all of its windows are equally long. `locales (b,)` is the language
    really spoken, as a number in `self.locales`; `teachings (b, languages)`, where there
    are any, what the teacher said of the clips (the mean, where several are joined).
    `processes`: how many share the batches.
    """

    def __init__(
        self,
        store: Store,
        clips: Sequence[StoredClip],
        labels: Sequence[str],
        sampling: Sampling,
        augmentation: Augmentation,
        *,
        length: int,
        seed: int,
        spec_augment: float = 0.5,
        teachings: npt.NDArray[np.float16] | None = None,
        processes: int = 1,
    ) -> None:
        self._store = store
        self._drawer = Drawer(clips, sampling)
        self._labels = {label: index for index, label in enumerate(labels)}
        self.locales = sorted({clip.locale for clip in clips})
        self._locales = {locale: index for index, locale in enumerate(self.locales)}
        self._sampling = sampling
        self._augmentation = augmentation
        self._length = length
        self._seed = seed
        self._processes = processes
        self._spec_augment = spec_augment
        self._teachings = teachings
        self._rows = {clip.offset: row for row, clip in enumerate(store.clips)}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self._seed, index))
        sampling = self._sampling
        weights = np.asarray(sampling.length_weights) / sum(sampling.length_weights)
        length_s = float(rng.choice(sampling.lengths_s, p=weights))
        samples = int(length_s * SAMPLE_RATE)
        # Drawn for all processes of a step: padded batches take longer, and they wait for
        # one another.
        step = np.random.default_rng((self._seed, index // self._processes, 1))
        padded = step.random() < sampling.padded
        size = sampling.padded_batch if padded else max(1, round(sampling.seconds / length_s))
        sounds, sources = [], []
        for _ in range(size):
            sound, clips = self._window(samples, rng)
            sounds.append(sound)
            sources.append(clips)
        batch = torch.from_numpy(np.stack(sounds))
        if padded:
            batch = torch.nn.functional.pad(batch, (0, PADDED_SAMPLES - samples))
        features = log_mel(batch)
        if rng.random() < self._spec_augment:
            frames = samples // 160
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            features[:, :, :frames] = masked(features[:, :, :frames], generator)
        result = {
            "input_features": features,
            "labels": torch.tensor([self._labels[clips[0].language] for clips in sources]),
            "locales": torch.tensor([self._locales[clips[0].locale] for clips in sources]),
        }
        if self._teachings is not None:
            rows = [[self._rows[clip.offset] for clip in clips] for clips in sources]
            means = [self._teachings[own].astype(np.float32).mean(axis=0) for own in rows]
            result["teachings"] = torch.from_numpy(np.stack(means))
        return result

    def _window(self, samples: int, rng: np.random.Generator) -> tuple[Sound, list[StoredClip]]:
        factor = speed_factor(self._augmentation, rng)
        needed = int(np.ceil(samples * factor)) + 8
        clips = self._drawer.clips(needed, rng)
        sound = self._joined(clips, needed, rng)
        sound = changed_speed(sound, factor)[:samples]
        if len(sound) < samples:
            sound = np.pad(sound, (0, samples - len(sound)))
        sound = augmented(sound, self._augmentation, rng, lambda n: self._stranger(n, rng))
        return sound.astype(np.float32), clips

    def _joined(self, clips: Sequence[StoredClip], samples: int, rng: np.random.Generator) -> Sound:
        """Join clips of one speaker, with short pauses, repeated where they are too few."""
        if clips[0].samples >= samples:
            start = self._start(clips[0].samples - samples, rng)
            return self._store.samples(clips[0], start, samples)
        parts, have = [], 0
        while have < samples:
            for clip in clips:
                piece = self._store.samples(clip)
                pause = np.zeros(int(rng.uniform(0.0, 0.25) * SAMPLE_RATE), np.float32)
                parts += [piece, pause]
                have += len(piece) + len(pause)
        sound = np.concatenate(parts)
        start = self._start(len(sound) - samples, rng)
        return sound[start : start + samples]

    def _start(self, latest: int, rng: np.random.Generator) -> int:
        """Where a window begins in a sound that has `latest` samples more than it."""
        place = rng.random()
        if place < self._sampling.onset:
            return int(rng.integers(min(latest, int(ONSET_SPREAD_S * SAMPLE_RATE)) + 1))
        if place < self._sampling.onset + self._sampling.ending:
            return latest
        return int(rng.integers(latest + 1))

    def _stranger(self, samples: int, rng: np.random.Generator) -> Sound:
        clips = self._drawer.clips(samples, rng)
        return self._joined(clips, samples, rng)


class _Choice:
    """Draws keys by weight."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._keys = list(weights)
        self._sums = np.cumsum(list(weights.values())).tolist()

    def draw(self, rng: np.random.Generator) -> str:
        at = bisect_right(self._sums, rng.random() * self._sums[-1])
        return self._keys[min(at, len(self._keys) - 1)]


def _with_share(weights: dict[str, float], synthetic: float) -> dict[str, float]:
    """Scale the synthesised corpora to their share, so that they tell no class."""
    spoken = {name: name.endswith(f"/{SYNTHETIC}") for name in weights}
    artificial = sum(weight for name, weight in weights.items() if spoken[name])
    human = sum(weights.values()) - artificial
    if artificial == 0 or human == 0:
        return weights
    factor = synthetic / (1 - synthetic) * human / artificial
    return {name: weight * (factor if spoken[name] else 1) for name, weight in weights.items()}


def _factor(weights: Mapping[str, float], corpus: str) -> float:
    """`weights` may name `locale/corpus`, or the corpus in all locales."""
    return weights.get(corpus, weights.get(corpus.partition("/")[2], 1.0))
