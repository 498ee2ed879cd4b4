"""What a window's scores are worth: logits to probabilities, as the checkpoint says."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection

    from langidd.types import Calibration, Scores, Temperatures

_GREATEST: Final = 700.0
"""The exponential of more is no number any more."""


def temperature(temperatures: Temperatures, duration_s: float) -> float:
    """Interpolate the temperature for a window of `duration_s`; flat beyond the ends."""
    points = sorted(temperatures)
    if duration_s <= points[0][0]:
        return points[0][1]
    for (left_s, left), (right_s, right) in itertools.pairwise(points):
        if duration_s <= right_s:
            share = (duration_s - left_s) / (right_s - left_s)
            return left + share * (right - left)
    return points[-1][1]


def window_probabilities(scores: Scores, calibration: Calibration) -> dict[str, float]:
    """Give the calibrated probability of every label of the model for one window.

    Two questions: whether it is one of the languages at all, at a temperature of its own,
    and which one. Where both temperatures are the same this is the plain softmax.

    Logits that are no numbers say nothing: every label is then as likely as another.
    Raises `ModelError` where there are not as many logits as labels.
    """
    logits = [float(logit) for logit in scores.logits]
    if len(logits) != len(calibration.labels):
        raise ModelError(
            f"the model gave {len(logits)} scores for {len(calibration.labels)} labels: "
            "its config.json does not fit its weights"
        )
    if not all(math.isfinite(logit) for logit in logits):
        return dict.fromkeys(calibration.labels, 1.0 / len(logits))
    scale = temperature(calibration.temperatures, scores.span.duration_s)
    scaled = {label: logit / scale for label, logit in zip(calibration.labels, logits, strict=True)}
    if not (calibration.unknown and calibration.unknown_temperatures and calibration.languages):
        total = _log_sum(scaled.values())
        return {label: math.exp(value - total) for label, value in scaled.items()}
    known = _log_sum([scaled[label] for label in calibration.languages])
    unknown = _log_sum([scaled[label] for label in calibration.unknown])
    unknown_scale = temperature(calibration.unknown_temperatures, scores.span.duration_s)
    gap = (unknown - known) * scale / unknown_scale
    chance = 1.0 / (1.0 + math.exp(min(gap, _GREATEST)))
    return {
        label: math.exp(value - unknown) * (1.0 - chance)
        if label in calibration.unknown
        else math.exp(value - known) * chance
        for label, value in scaled.items()
    }


def _log_sum(values: Collection[float]) -> float:
    highest = max(values)
    return highest + math.log(math.fsum(math.exp(value - highest) for value in values))
