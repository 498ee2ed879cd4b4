"""The row that every model is measured against: an untouched Whisper and a regression.

Whisper's language-token logits of trimmed speech, and a logistic regression on them, fitted on a
few hundred passages of the training split at each length. A model that is worse than this has
lost what Whisper knew.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from langidd.types import Calibration
from langidd_training.data.corpus import OTHER, read_corpora
from langidd_training.evaluation.passages import Passage, decode_clips, join_short

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.data.corpus import Clip
    from langidd_training.evaluation.scoring import Scorer

OF_A_CLASS: Final = 300
"""Passages of a class that are fitted on."""
CLIPS_OF_A_CLASS: Final = 900
"""Clips that they are made of: single words are joined."""
INVERSE_PENALTY: Final = 0.01


class Baseline:
    """Whisper's language tokens and a regression for each length."""

    def __init__(
        self, scorer: Scorer, roots: Sequence[Path], targets: Sequence[str], *, seed: int = 3
    ) -> None:
        """Read the training split.

        Args:
            scorer: Of a whole Whisper with trimmed context.
            roots: Directories of corpora with a training split.
            targets: The languages that are told apart; the rest are one class.
            seed: Draws the clips.

        Raises:
            ConfigError: There is no training split.

        """
        self._scorer = scorer
        self._targets = tuple(targets)
        clips = read_corpora(roots, targets, splits=("train",))
        self._passages = decode_clips(_drawn(clips, CLIPS_OF_A_CLASS, seed)).passages
        self._fitted: dict[float, object] = {}
        self.labels = (*self._targets, OTHER)
        self.calibration = Calibration(self.labels, unknown=(OTHER,))

    def logits(self, passages: Sequence[Passage], seconds: float) -> npt.NDArray[np.float32]:
        """Score passages of so many seconds; returns `(passages, labels) float32`."""
        if seconds not in self._fitted:
            self._fitted[seconds] = self._fit(seconds)
        model = self._fitted[seconds]
        logits = np.full((len(passages), len(self.labels)), -30.0, np.float32)
        if passages:
            columns = [self.labels.index(name) for name in model.classes_]  # type: ignore[attr-defined]
            logits[:, columns] = model.predict_log_proba(self._features(passages))  # type: ignore[attr-defined]
        return np.maximum(logits, -30.0)

    def _fit(self, seconds: float) -> object:
        by_class: dict[str, list[Passage]] = defaultdict(list)
        for passage in join_short(self._passages, seconds):
            by_class[passage.language].append(passage)
        chosen = [passage for own in by_class.values() for passage in own[:OF_A_CLASS]]
        regression = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=2_000)
        return make_pipeline(StandardScaler(), regression).fit(
            self._features(chosen), [passage.language for passage in chosen]
        )

    def _features(self, passages: Sequence[Passage]) -> npt.NDArray[np.float64]:
        found = log_softmax(self._scorer.logits(passages).astype(np.float64), axis=1)
        return np.asarray(found, np.float64)


def _drawn(clips: Sequence[Clip], most: int, seed: int) -> list[Clip]:
    """So many clips of each class, its corpora and locales in turn."""
    draw = random.Random(seed)  # noqa: S311 (a reproducible draw, no secret)
    groups: dict[str, dict[tuple[str, str], list[Clip]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        groups[clip.language][clip.corpus, clip.locale].append(clip)
    chosen: list[Clip] = []
    for corpora in groups.values():
        turns = []
        for own in corpora.values():
            draw.shuffle(own)
            turns += list(enumerate(own))
        chosen += [clip for _, clip in sorted(turns, key=lambda entry: entry[0])[:most]]
    return chosen
