"""Passages through an engine in batches of like length; what was scored once is kept on disk."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.errors import LangiddError
from langidd.types import SAMPLE_RATE
from langidd_training.data.fingerprint import model_fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd.model.base import Engine
    from langidd_training.evaluation.passages import Passage

BATCH_S: Final = 64.0
"""Seconds of speech in a batch: 16 passages of 4 s, two of 30 s."""
_SHORTEST_S: Final = 0.5


class Scorer:
    """Scores passages with one engine."""

    def __init__(self, engine: Engine, cache: Path | None = None) -> None:
        """Prepare to score.

        Args:
            engine: A loaded checkpoint.
            cache: Where logits are kept; None: nowhere.

        """
        self.engine = engine
        self.labels = engine.calibration.labels
        self._cache = cache
        self._about = ""
        if cache is not None:
            self._about = f"{model_fingerprint(engine.name)} {engine.context} {engine.precision}"

    def logits(self, passages: Sequence[Passage]) -> npt.NDArray[np.float32]:
        """Score passages of any lengths; returns `(passages, labels) float32`."""
        stored = None
        if self._cache is not None:
            digest = hashlib.blake2b(self._about.encode(), digest_size=16)
            for passage in passages:
                digest.update(hashlib.blake2b(passage.samples.tobytes(), digest_size=16).digest())
            stored = self._cache / f"{digest.hexdigest()}.npy"
            if stored.is_file():
                found: npt.NDArray[np.float32] = np.load(stored, allow_pickle=False)
                return found
        logits = self._score(passages)
        if stored is not None:
            stored.parent.mkdir(parents=True, exist_ok=True)
            partial = stored.with_suffix(".part")
            with partial.open("wb") as file:
                np.save(file, logits)
            partial.rename(stored)
        return logits

    def _score(self, passages: Sequence[Passage]) -> npt.NDArray[np.float32]:
        logits = np.zeros((len(passages), len(self.labels)), np.float32)
        # Passages of like length share a batch, so that little of it is filled up.
        order = sorted(range(len(passages)), key=lambda row: len(passages[row].samples))
        while order:
            longest_s = len(passages[order[-1]].samples) / SAMPLE_RATE
            length_s = 30.0 if self.engine.context == "padded" else max(longest_s, _SHORTEST_S)
            count = max(1, int(BATCH_S / length_s))
            rows, order = order[-count:], order[:-count]
            logits[rows] = self.engine.logits([passages[row].samples for row in rows])
        return logits


def known_targets(labels: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the languages to measure.

    Raises:
        LangiddError: The model does not know one of them.

    """
    missing = [language for language in wanted if language not in labels]
    if missing:
        raise LangiddError(
            f"the model has no label {', '.join(missing)}; it has {', '.join(labels[:12])}: "
            "choose with --languages"
        )
    return tuple(wanted)
