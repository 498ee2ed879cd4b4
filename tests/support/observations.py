"""Tables of scores of which the right answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from langidd_training.evaluation.observations import Observations

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

LABELS = ("uz", "ru", "en", "other")


def observations(
    logits: npt.NDArray[np.floating], language: Sequence[str], **columns: object
) -> Observations:
    """Rows of 3 s of clean speech of the dev split, each of another voice, unless it says so."""
    rows = len(language)
    defaults: dict[str, object] = {
        "labels": LABELS,
        "targets": LABELS[:3],
        "locale": language,
        "corpus": "made",
        "speaker": [f"voice {number}" for number in range(rows)],
        "split": "dev",
        "cut": "3",
        "condition": "clean",
    }
    given = {**defaults, **columns}
    table = {
        name: np.array([value] * rows if isinstance(value, str) else value, dtype=np.str_)
        for name, value in given.items()
        if name not in {"labels", "targets"}
    }
    return Observations(
        labels=tuple(given["labels"]),  # type: ignore[arg-type]
        targets=tuple(given["targets"]),  # type: ignore[arg-type]
        logits=np.asarray(logits, np.float32),
        duration_s=table["cut"].astype(float),
        language=np.array(language, dtype=np.str_),
        **table,
    )
