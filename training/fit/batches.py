"""Batches balanced by language and corpus: short crops of passages, augmented."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.utils.data import Dataset

from langidd.errors import ConfigError
from langidd.types import SAMPLE_RATE
from langidd_training.augment.augment import Augmentation, augmented, changed_speed, speed_factor
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.metrics import TURKIC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from langidd_training.data.store import Store, StoredClip

    Sound = npt.NDArray[np.float32]

NEAR: Final = "turkic"
"""The group of Uzbek's relatives among the other languages."""

_SHORTEST_S: Final = 0.5
"""A passage below this is left out."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a batch is drawn.

    Attributes:
        shares: Crops of a language, of `turkic` and of `other` in a batch; a language that is
            not named counts as `share`.
        corpus_factors: By how much a corpus counts more or less than its voices and passages
            say; synthesisers have many passages and few voices.
        contexts_s: How long the windows of a batch are, one of these a batch.
        shortest_s: The least speech in a window; silence follows it.
        full: The share of windows that speech fills.
        onset: The share of windows that begin where a passage begins, as a segment's first does.

    """

    shares: Mapping[str, int] = field(
        default_factory=lambda: {"uz": 8, "ru": 8, "en": 7, NEAR: 4, OTHER: 5}
    )
    share: int = 8
    corpus_factors: Mapping[str, float] = field(
        default_factory=lambda: {"espeak-ng": 0.3, "rhvoice": 1.5}
    )
    contexts_s: tuple[float, ...] = (1.5, 1.5, 2.0, 2.0, 3.0)
    shortest_s: float = 0.8
    full: float = 0.4
    onset: float = 0.4


@dataclass(frozen=True, slots=True)
class _Corpus:
    """The passages of each voice of a corpus in one language, as numbers."""

    weight: float
    voices: tuple[npt.NDArray[np.int64], ...]
    voice_weights: npt.NDArray[np.float64]


class PassageDraw:
    """Draws passages: language, then corpus, then voice, then passage."""

    def __init__(self, passages: Sequence[StoredClip], sampling: Sampling) -> None:
        """Sort the passages.

        Args:
            passages: Of the training split.
            sampling: What counts how much.

        Raises:
            ConfigError: There is none.

        """
        tree: dict[str, dict[tuple[str, str], dict[str, list[int]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for number, passage in enumerate(passages):
            if passage.seconds >= _SHORTEST_S:
                corpora = tree[group_of(passage)]
                corpora[passage.corpus, passage.locale][passage.speaker].append(number)
        if not tree:
            raise ConfigError("no clip to train on; look at what `prepare` kept")
        self._groups = {
            group: [_weighed(key[0], voices, sampling) for key, voices in corpora.items()]
            for group, corpora in tree.items()
        }
        self.shares = {group: sampling.shares.get(group, sampling.share) for group in tree}

    def draw(self, group: str, rng: np.random.Generator) -> int:
        """Return the number of a passage of a group (`uz`, `turkic`, `other`)."""
        corpora = self._groups[group]
        weights = np.array([corpus.weight for corpus in corpora])
        corpus = corpora[rng.choice(len(corpora), p=weights / weights.sum())]
        own = corpus.voices[rng.choice(len(corpus.voices), p=corpus.voice_weights)]
        return int(own[rng.integers(len(own))])


def group_of(passage: StoredClip) -> str:
    """Return what a passage counts as: its language, `turkic` or `other`."""
    if passage.language == OTHER and passage.locale in TURKIC:
        return NEAR
    return passage.language


def _weighed(corpus: str, voices: Mapping[str, Sequence[int]], sampling: Sampling) -> _Corpus:
    """Weigh a corpus by the fourth root of its voices times that of its passages."""
    sizes = np.array([len(own) for own in voices.values()], np.float64)
    weight = (len(voices) * sizes.sum()) ** 0.25 * sampling.corpus_factors.get(corpus, 1.0)
    roots = np.sqrt(sizes)
    return _Corpus(
        float(weight), tuple(np.array(own) for own in voices.values()), roots / roots.sum()
    )


class Batches(Dataset[dict[str, torch.Tensor]]):
    """Item i is the i-th batch: the same for the same seed, whoever asks and when.

    So a run that was killed goes on with the batches that it has not seen, and several
    processes share the work by index. A batch is `samples (b, n) float32`, all windows equally
    long, and `targets (b, languages) float32`.
    """

    def __init__(
        self,
        store: Store,
        passages: Sequence[StoredClip],
        targets: npt.NDArray[np.float32],
        sampling: Sampling,
        augmentation: Augmentation,
        *,
        length: int,
        seed: int,
        noises: Sequence[Sound] = (),
        processes: int = 1,
    ) -> None:
        """Prepare to draw.

        Args:
            store: Holds the sound.
            passages: Of the training split.
            targets: Of each passage, `(passages, languages)`.
            sampling: How a batch is drawn.
            augmentation: What is done to the crops.
            length: How many batches there are.
            seed: Draws them.
            noises: Recordings of noise, each `(n,)`.
            processes: How many share the batches.

        """
        self._store = store
        self._passages = passages
        self._targets = targets
        self._draw = PassageDraw(passages, sampling)
        self._sampling = sampling
        self._augmentation = augmentation
        self._length = length
        self._seed = seed
        self._noises = [noise for noise in noises if len(noise) >= SAMPLE_RATE // 2]
        self._processes = processes

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        # Drawn for all processes of a step: they wait for one another.
        step = np.random.default_rng((self._seed, index // self._processes, 1))
        context = round(float(step.choice(self._sampling.contexts_s)) * SAMPLE_RATE)
        rng = np.random.default_rng((self._seed, index))
        rows, targets = [], []
        for group, count in self._draw.shares.items():
            for _ in range(count):
                number = self._draw.draw(group, rng)
                rows.append(self._window(number, context, rng))
                targets.append(self._targets[number])
        return {
            "samples": torch.from_numpy(np.stack(rows)),
            "targets": torch.from_numpy(np.stack(targets)),
        }

    def _window(self, number: int, context: int, rng: np.random.Generator) -> Sound:
        sampling = self._sampling
        length = context
        if rng.random() >= sampling.full:
            # The shorter, the more often.
            shortest = round(sampling.shortest_s * SAMPLE_RATE)
            length = shortest + round((context - shortest) * rng.random() ** 1.5)
        factor = speed_factor(self._augmentation, rng)
        crop = changed_speed(self._crop(number, round(length * factor), rng), factor)
        sound = augmented(
            crop,
            self._augmentation,
            rng,
            others=lambda wanted: self._other(wanted, rng),
            recorded=(lambda wanted: self._noise(wanted, rng)) if self._noises else None,
        )[:context]
        window = np.zeros(context, np.float32)
        window[: len(sound)] = sound
        return window

    def _crop(self, number: int, length: int, rng: np.random.Generator) -> Sound:
        passage = self._passages[number]
        spare = passage.samples - length
        begin = 0
        if spare > 0 and rng.random() >= self._sampling.onset:
            begin = int(rng.integers(spare + 1))
        return self._store.samples(passage, begin, length)

    def _other(self, length: int, rng: np.random.Generator) -> Sound:
        group = list(self._draw.shares)[rng.integers(len(self._draw.shares))]
        return np.resize(self._crop(self._draw.draw(group, rng), length, rng), length)

    def _noise(self, length: int, rng: np.random.Generator) -> Sound:
        noise = self._noises[rng.integers(len(self._noises))]
        return np.resize(np.roll(noise, int(rng.integers(len(noise)))), length)
