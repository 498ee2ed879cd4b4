"""Every score of an evaluation in one table, from which all figures are made.

One row is one passage under one condition, heard by one model in one context. The table
is kept beside the figures (`scores.npz`), so that a calibration or a picture needs no
second run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from langidd.errors import LangiddError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Strings = npt.NDArray[np.str_]
    Mask = npt.NDArray[np.bool_]

WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Setting:
    """How a set of passages was heard: `cut` is `3` (seconds) or `whole`.

    `material` is `clips`, `joined` or `espeak`.
    """

    material: str
    cut: str
    condition: str = "clean"
    context: str = "trimmed"


@dataclass(frozen=True, slots=True)
class Observations:
    """Columns of equal length; `logits` is `(rows, labels) float32`."""

    labels: tuple[str, ...]
    targets: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    duration_s: npt.NDArray[np.float64]
    language: Strings
    locale: Strings
    corpus: Strings
    speaker: Strings
    name: Strings
    material: Strings
    cut: Strings
    condition: Strings
    context: Strings

    def __len__(self) -> int:
        return len(self.language)

    def where(self, mask: Mask) -> Observations:
        """Only the rows where `mask` is true."""
        return Observations(
            self.labels,
            self.targets,
            *(getattr(self, field.name)[mask] for field in fields(self)[2:]),
        )

    def at(self, setting: Setting) -> Observations:
        """Only the rows of one setting."""
        return self.where(
            (self.material == setting.material)
            & (self.cut == setting.cut)
            & (self.condition == setting.condition)
            & (self.context == setting.context)
        )

    def save(self, path: Path) -> None:
        """Write the table, as `numpy.savez_compressed` does."""
        columns = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        np.savez_compressed(path, **columns)


def load_observations(path: Path) -> Observations:
    """Read a table that `save` wrote; raises LangiddError where there is none."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            columns = {field.name: stored[field.name] for field in fields(Observations)}
    except (OSError, KeyError, ValueError) as error:
        raise LangiddError(
            f"{path}: no table of scores; `langidd-train evaluate` writes scores.npz"
        ) from error
    labels, targets = (tuple(map(str, columns.pop(name))) for name in ("labels", "targets"))
    return Observations(labels=labels, targets=targets, **columns)


def concatenate(parts: Sequence[Observations]) -> Observations:
    """All rows of several tables of one model."""
    first = parts[0]
    return Observations(
        first.labels,
        first.targets,
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(first)[2:]
        ),
    )
