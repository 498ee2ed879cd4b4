"""What a window's scores are worth: logits to probabilities, as the checkpoint says."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    import numpy.typing as npt

    from langidd.types import Calibration, Temperatures

_GREATEST: Final = 700.0
"""The exponential of a larger number overflows a float64."""


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


def calibrated_probabilities(
    logits: npt.NDArray[np.float32], duration_s: float, calibration: Calibration
) -> dict[str, float]:
    """Turn one window's logits into the probability of each label of the model.

    Two questions are answered: whether the speech is in one of the languages at all, at a
    temperature of its own, and in which one. Where both temperatures are the same this is
    the plain softmax. The method is temperature scaling (Guo et al., On Calibration of
    Modern Neural Networks, 2017), with temperatures that depend on the duration.

    Args:
        logits: `(labels,) float32`. Where one is not a number, all labels are equally
            likely.
        duration_s: Seconds of speech in the window.
        calibration: The checkpoint's labels and temperatures.

    Returns:
        A probability for each label, in the order of the labels; they sum to 1.

    Raises:
        ModelError: There are not as many logits as labels.

    """
    values = logits.tolist()
    if len(values) != len(calibration.labels):
        raise ModelError(
            f"the model gave {len(values)} scores for {len(calibration.labels)} labels: "
            "its config.json does not fit its weights"
        )
    if not all(math.isfinite(value) for value in values):
        return dict.fromkeys(calibration.labels, 1.0 / len(values))
    scale = temperature(calibration.temperatures, duration_s)
    scaled = {label: value / scale for label, value in zip(calibration.labels, values, strict=True)}
    if not (calibration.unknown and calibration.unknown_temperatures and calibration.languages):
        total = _log_sum(scaled.values())
        return {label: math.exp(value - total) for label, value in scaled.items()}
    known = _log_sum([scaled[label] for label in calibration.languages])
    unknown = _log_sum([scaled[label] for label in calibration.unknown])
    unknown_scale = temperature(calibration.unknown_temperatures, duration_s)
    margin = (unknown - known) * scale / unknown_scale
    chance = 1.0 / (1.0 + math.exp(min(margin, _GREATEST)))
    return {
        label: math.exp(value - unknown) * (1.0 - chance)
        if label in calibration.unknown
        else math.exp(value - known) * chance
        for label, value in scaled.items()
    }


def _log_sum(values: Collection[float]) -> float:
    highest = max(values)
    return highest + math.log(math.fsum(math.exp(value - highest) for value in values))
