"""Accuracy after N seconds of speech, every voice weighing the same.

Corpora hold hundreds of clips of one voice and one clip of another: counting clips measures
the voices that spoke most. Here each voice has one vote, each language the mean of its
voices, and the macro figure the mean of the languages.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd_training.data.codes import row_of
from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.bars import bars
from langidd_training.evaluation.calibrate import best_language, reliability_of
from langidd_training.evaluation.metrics import TURKIC, auroc
from langidd_training.evaluation.observations import CLEAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from langidd.types import Calibration
    from langidd_training.evaluation.evaluate import Evaluation
    from langidd_training.evaluation.observations import Observations

FEW_VOICES: Final = 5
"""A corpus of fewer voices says little of any other: it is not called the worst."""


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Return all of `evaluation.json`: the model's figures, the baseline's, and the bars."""
    calibration = evaluation.calibration
    found: dict[str, Any] = {
        "model": evaluation.model,
        "labels": list(calibration.labels),
        "languages": list(evaluation.observations.targets),
        "context": evaluation.context,
        "temperature": [list(point) for point in calibration.temperatures],
        "und_threshold": calibration.und_threshold,
        "left_out": {split: dict(counts) for split, counts in evaluation.dropped.items()},
        "splits": split_figures(evaluation),
    }
    if evaluation.baseline is not None:
        found["baseline"] = {
            "model": evaluation.baseline.model,
            "splits": split_figures(evaluation.baseline),
        }
    found["bars"] = bars(found)
    return found


def split_figures(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Return for each split `lengths` by cut (`"3"` for 3 s), and `conditions` by name.

    Each has `macro` (best of the target languages), `strict` (best of all labels),
    `by_language`, `by_corpus` (`uz/telegram-uz`), `worst_corpus` (of those with at least
    `FEW_VOICES` voices), `other_named` and `turkic_named` (other languages that are called
    one of the targets at the model's threshold), `other_right` (other languages that get
    their own label, where the model has labels for them), `auroc`, `calibration_error`,
    `voices` and `passages`. What the data does not hold is None.
    """
    table, calibration = evaluation.observations, evaluation.calibration
    found: dict[str, dict[str, Any]] = {}
    for split in dict.fromkeys(map(str, table.split)):
        own = table.where(table.split == split)
        parts: dict[str, Any] = {"lengths": {}, "conditions": {}}
        for cut, condition in dict.fromkeys(
            zip(map(str, own.cut), map(str, own.condition), strict=True)
        ):
            rows = _figures(own.at(split, cut, condition), calibration)
            if condition == CLEAN:
                parts["lengths"][cut] = rows
            else:
                parts["conditions"][condition] = rows
        found[split] = parts
    return found


def _figures(rows: Observations, calibration: Calibration) -> dict[str, Any]:
    among, confidence = best_language(rows, calibration)
    strict = np.array(rows.labels)[rows.logits.argmax(axis=1)]
    known = rows.language != OTHER
    right = among == rows.language
    named = confidence >= calibration.und_threshold
    turkic = ~known & np.isin(rows.locale, sorted(TURKIC))
    by_language = _by(rows, known, right, rows.language)
    corpora = np.array(
        [f"{one}/{two}" for one, two in zip(rows.language, rows.corpus, strict=True)]
    )
    by_corpus = _by(rows, known, right, corpora)
    large = [
        value
        for name, value in by_corpus.items()
        if len(set(rows.speaker[known & (corpora == name)])) >= FEW_VOICES
    ]
    own = np.array([row_of(str(locale), rows.labels) for locale in rows.locale], dtype=object)
    labelled = ~known & np.array([row is not None for row in own], bool)
    return {
        "macro": _mean(by_language.values()),
        "strict": _mean(_by(rows, known, strict == rows.language, rows.language).values()),
        "by_language": by_language,
        "by_corpus": by_corpus,
        "worst_corpus": min(large, default=None),
        "other_named": _mean(_votes(rows, ~known, named).values()),
        "turkic_named": _mean(_votes(rows, turkic, named).values()),
        "other_right": _mean(_votes(rows, labelled, rows.logits.argmax(axis=1) == own).values()),
        "auroc": auroc(~known, 1.0 - confidence),
        "calibration_error": reliability_of(rows, calibration).error if known.any() else None,
        "voices": len(set(rows.speaker)),
        "passages": len(rows),
    }


def _votes(
    rows: Observations, chosen: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Each voice's share of rows that are right, among the chosen rows."""
    votes: dict[str, list[bool]] = defaultdict(list)
    for speaker, value in zip(rows.speaker[chosen], right[chosen], strict=True):
        votes[str(speaker)].append(bool(value))
    return {speaker: float(np.mean(values)) for speaker, values in votes.items()}


def _by(
    rows: Observations,
    chosen: npt.NDArray[np.bool_],
    right: npt.NDArray[np.bool_],
    group: npt.NDArray[np.str_],
) -> dict[str, float]:
    return {
        str(name): float(np.mean(list(_votes(rows, chosen & (group == name), right).values())))
        for name in np.unique(group[chosen])
    }


def _mean(values: Iterable[float]) -> float | None:
    collected = list(values)
    return float(np.mean(collected)) if collected else None
