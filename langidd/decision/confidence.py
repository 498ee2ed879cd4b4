"""From the filter's belief to the probabilities that are published."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def published_probabilities(belief: Mapping[str, float], slope: float) -> dict[str, float]:
    """Calibrate a belief: of the decisions published at 0.9, nine in ten are to be right.

    The log-odds between any two states are multiplied by `slope` (temperature scaling with
    temperature 1 / slope; Guo et al., On Calibration of Modern Neural Networks, 2017), so
    the order of the states stays as it is.

    Args:
        belief: The filter's probability of each state, above 0.
        slope: Factor on the log-odds, above 0; below 1 where the filter is too certain.

    Returns:
        The probability of each state; they sum to 1.

    """
    logs = {state: slope * math.log(value) for state, value in belief.items()}
    highest = max(logs.values())
    scaled = {state: math.exp(value - highest) for state, value in logs.items()}
    total = math.fsum(scaled.values())
    return {state: value / total for state, value in scaled.items()}
