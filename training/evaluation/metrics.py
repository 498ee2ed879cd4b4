"""Calibrated probabilities of many rows, reliability, area under the ROC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import expit, logsumexp, softmax
from sklearn.metrics import roc_auc_score

from langidd.model.calibration import temperature

if TYPE_CHECKING:
    import numpy.typing as npt

    from langidd.types import Calibration, Temperatures

    Numbers = npt.NDArray[np.float64]

TURKIC: Final = frozenset(
    {"az", "ba", "crh", "cv", "kaa", "kk", "ky", "nog", "tk", "tr", "tt", "ug"}
)
"""Uzbek's relatives: the hard part of `other`."""
BINS: Final = 15
"""Of the calibration error: as in Guo et al., "On Calibration of Modern Neural
Networks" (2017)."""


def calibrated(
    logits: npt.NDArray[np.float32], duration_s: Numbers, calibration: Calibration
) -> Numbers:
    """Probabilities `(rows, labels)`, as `calibrated_probabilities` of langidd.model has them.

    Which language, at the temperature of each row's duration, and whether it is one at
    all, at the unknown's temperature (where there is none: at the same one).
    """

    def at(points: Temperatures) -> Numbers:
        return np.array([temperature(points, float(seconds)) for seconds in duration_s])

    scale = at(calibration.temperatures)[:, None]
    scaled = logits.astype(np.float64) / scale
    unknown = np.isin(calibration.labels, calibration.unknown)
    if not calibration.unknown_temperatures or not unknown.any() or unknown.all():
        return np.asarray(softmax(scaled, axis=1))
    sides = [logsumexp(scaled[:, side], axis=1, keepdims=True) for side in (~unknown, unknown)]
    gap = (sides[1] - sides[0]) * scale / at(calibration.unknown_temperatures)[:, None]
    chances = [expit(-gap), expit(gap)]
    result = np.empty_like(scaled)
    for side, total, chance in zip((~unknown, unknown), sides, chances, strict=True):
        result[:, side] = np.exp(scaled[:, side] - total) * chance
    return result


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against accuracy, bin by bin; `error` is their mean distance (ECE)."""

    confidence: list[float]
    accuracy: list[float]
    count: list[int]
    error: float


def reliability(
    confidence: Numbers,
    right: npt.NDArray[np.bool_],
    weight: Numbers | None = None,
    bins: int = BINS,
) -> Reliability:
    """Bins of equal width over 0-1; empty ones are left out.

    The expected calibration error weighs each bin's |confidence - accuracy| by its rows,
    or by their `weight`.
    """
    weight = np.ones(len(confidence)) if weight is None else weight
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    filled = [place == number for number in range(bins) if np.any(place == number)]
    mean = [float(np.average(confidence[here], weights=weight[here])) for here in filled]
    hit = [float(np.average(right[here], weights=weight[here])) for here in filled]
    share = [float(weight[here].sum()) for here in filled]
    distance = sum(w * abs(c - a) for w, c, a in zip(share, mean, hit, strict=True))
    error = distance / max(sum(share), 1e-12)
    return Reliability(mean, hit, [int(here.sum()) for here in filled], error)


def auroc(unknown: npt.NDArray[np.bool_], score: Numbers) -> float | None:
    """How well `score` tells the unknown from the known; None where one kind is missing."""
    if unknown.all() or not unknown.any():
        return None
    return float(roc_auc_score(unknown, score))
