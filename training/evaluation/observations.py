"""Every score of an evaluation in one table, from which all figures are made.

One row is one passage at one length under one condition. The table is kept beside the figures
(`scores.npz`), so that a calibration or a picture needs no second run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.errors import LangiddError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd_training.evaluation.passages import Passage

    Strings = npt.NDArray[np.str_]
    Mask = npt.NDArray[np.bool_]

CLEAN: Final = "clean"
"""The condition of speech to which nothing was done."""


@dataclass(frozen=True, slots=True)
class Observations:
    """Columns of equal length.

    Attributes:
        labels: The model's, in the order of the logits.
        targets: The languages that are measured.
        logits: `(rows, labels) float32`.
        duration_s: Of each passage.
        language: The class of each: a target, or `other`.
        locale: What is really spoken.
        corpus: Who collected it.
        speaker: Unique over all corpora.
        split: `dev`, or another table's name.
        cut: The seconds that were asked for (`3`).
        condition: What was done to it (`clean`, `telephone`).

    """

    labels: tuple[str, ...]
    targets: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    duration_s: npt.NDArray[np.float64]
    language: Strings
    locale: Strings
    corpus: Strings
    speaker: Strings
    split: Strings
    cut: Strings
    condition: Strings

    def __len__(self) -> int:
        return len(self.language)

    def where(self, mask: Mask) -> Observations:
        """Return the rows where `mask` is true."""
        columns = {field.name: getattr(self, field.name)[mask] for field in fields(self)[2:]}
        return replace(self, **columns)

    def at(self, split: str, cut: str, condition: str = CLEAN) -> Observations:
        """Return the rows of one length of one split under one condition."""
        return self.where((self.split == split) & (self.cut == cut) & (self.condition == condition))

    def save(self, path: Path) -> None:
        """Write the table, as `numpy.savez_compressed` does."""
        columns = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        np.savez_compressed(path, **columns)


def observe(
    passages: Sequence[Passage],
    logits: npt.NDArray[np.float32],
    labels: Sequence[str],
    targets: Sequence[str],
    *,
    split: str,
    cut: str,
    condition: str = CLEAN,
) -> Observations:
    """Put passages and their logits `(passages, labels)` together."""
    rows = len(passages)

    def column(values: Sequence[str]) -> Strings:
        return np.array(values, dtype=np.str_).reshape(rows)

    return Observations(
        labels=tuple(labels),
        targets=tuple(targets),
        logits=np.asarray(logits, np.float32).reshape(rows, len(labels)),
        duration_s=np.array([passage.duration_s for passage in passages], np.float64),
        language=column([passage.language for passage in passages]),
        locale=column([passage.locale for passage in passages]),
        corpus=column([passage.corpus for passage in passages]),
        speaker=column([passage.speaker for passage in passages]),
        split=column([split] * rows),
        cut=column([cut] * rows),
        condition=column([condition] * rows),
    )


def load_observations(path: Path) -> Observations:
    """Read a table that `save` wrote.

    Raises:
        LangiddError: There is none.

    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            columns = {field.name: stored[field.name] for field in fields(Observations)}
    except (OSError, KeyError, ValueError) as error:
        raise LangiddError(
            f"{path}: no table of scores; `langidd-train evaluate --out` writes scores.npz"
        ) from error
    labels, targets = (tuple(map(str, columns.pop(name))) for name in ("labels", "targets"))
    return Observations(labels=labels, targets=targets, **columns)


def concatenate(parts: Sequence[Observations]) -> Observations:
    """Return all rows of several tables of one model."""
    first = parts[0]
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(first)[2:]
    }
    return replace(first, **columns)
