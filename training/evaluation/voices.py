"""Accuracy after N seconds of speech, every voice weighing the same.

Corpora hold hundreds of clips of one voice and one clip of another: counting clips measures
the voices that spoke most. Here each voice has one vote, each language the mean of its
voices, and the macro figure the mean of the languages.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd_training.data.corpus import OTHER
from langidd_training.evaluation.calibrate import best_language
from langidd_training.evaluation.metrics import TURKIC, auroc, reliability
from langidd_training.evaluation.observations import Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from langidd.types import Calibration
    from langidd_training.evaluation.evaluate import Evaluation
    from langidd_training.evaluation.observations import Observations

FEW_VOICES: Final = 5
"""A corpus of fewer voices says little of any other: it is not called the worst."""


def voice_figures(evaluation: Evaluation, cuts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Figures of the joined passages by cut (`"3"` for 3 s); cuts without a passage are left out.

    Each cut has `macro` (best of the target languages), `strict` (best of all labels),
    `by_language`, `by_corpus` (`uz/telegram-uz`), `worst_corpus` (of those with at least
    `FEW_VOICES` voices), `other_named` and `turkic_named` (other languages that are called
    one of the targets at the model's threshold), `auroc`, `calibration_error`, `voices` and
    `passages`. What the data does not hold is None.
    """
    found = {}
    for cut in cuts:
        rows = evaluation.observations.at(Setting("joined", cut, context=evaluation.context))
        if len(rows):
            found[cut] = _at_cut(rows, evaluation.calibration)
    return found


def _at_cut(rows: Observations, calibration: Calibration) -> dict[str, Any]:
    among, confidence = best_language(rows, calibration)
    strict = np.array(rows.labels)[rows.logits.argmax(axis=1)]
    known = rows.language != OTHER
    named = confidence >= calibration.und_threshold
    turkic = ~known & np.isin(rows.locale, sorted(TURKIC))
    by_language = _by(rows, known, among == rows.language, rows.language)
    corpora = np.array(
        [f"{one}/{two}" for one, two in zip(rows.language, rows.corpus, strict=True)]
    )
    by_corpus = _by(rows, known, among == rows.language, corpora)
    large = [
        value
        for name, value in by_corpus.items()
        if len(set(rows.speaker[known & (corpora == name)])) >= FEW_VOICES
    ]
    return {
        "macro": _mean(by_language.values()),
        "strict": _mean(_by(rows, known, strict == rows.language, rows.language).values()),
        "by_language": by_language,
        "by_corpus": by_corpus,
        "worst_corpus": min(large, default=None),
        "other_named": _mean(_votes(rows, ~known, named).values()),
        "turkic_named": _mean(_votes(rows, turkic, named).values()),
        "auroc": auroc(~known, 1.0 - confidence),
        "calibration_error": reliability(
            confidence[known], (among == rows.language)[known], _weights(rows, known)
        ).error
        if known.any()
        else None,
        "voices": len(set(rows.speaker)),
        "passages": len(rows),
    }


def _votes(
    rows: Observations, chosen: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Each voice's share of rows that are right, among the chosen rows."""
    heard: dict[str, list[bool]] = defaultdict(list)
    for speaker, value in zip(rows.speaker[chosen], right[chosen], strict=True):
        heard[str(speaker)].append(bool(value))
    return {speaker: float(np.mean(values)) for speaker, values in heard.items()}


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


def _weights(rows: Observations, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Weights of the chosen rows: every language counts the same, and in it every voice."""
    speakers, languages = rows.speaker[chosen], rows.language[chosen]
    weights = np.zeros(len(speakers))
    for language in np.unique(languages):
        voices = np.unique(speakers[languages == language])
        for voice in voices:
            here = (languages == language) & (speakers == voice)
            weights[here] = 1.0 / (len(voices) * here.sum())
    return weights


def _mean(values: Iterable[float]) -> float | None:
    collected = list(values)
    return float(np.mean(collected)) if collected else None
