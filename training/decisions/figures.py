"""Figures over many recordings, with intervals by drawing recordings anew (bootstrap)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd_training.decisions.score import BINS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd_training.decisions.score import Tally

RECALL_S: Final = (0.5, 1.0, 2.0, 3.0)
"""Switches are counted as found within so much speech."""

SURE: Final = 0.9
"""What the design promises: of decisions this sure, as many are right."""

_DRAWS: Final = 500
_HOUR_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its 95 % interval; `value` is NaN where there is nothing to measure."""

    name: str
    unit: str
    value: float
    low: float
    high: float


def figures(tallies: Sequence[Tally], *, seed: int = 0, draws: int = _DRAWS) -> list[Figure]:
    """Measure; recordings are drawn anew `draws` times for the intervals (0: no intervals)."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, max(1, len(tallies)), size=(draws, len(tallies)))
    results = []
    for name, unit, measure in MEASURES:
        if not tallies:
            results.append(Figure(name, unit, math.nan, math.nan, math.nan))
            continue
        drawn = [measure([tallies[index] for index in row]) for row in chosen.tolist()]
        usable = np.sort([value for value in drawn if not math.isnan(value)])
        low, high = math.nan, math.nan
        if len(usable):
            # an order statistic, since a median of lags may be infinite
            low, high = (
                float(usable[round(share * (len(usable) - 1))]) for share in (0.025, 0.975)
            )
        results.append(Figure(name, unit, measure(tallies), low, high))
    return results


def value(tallies: Sequence[Tally], name: str) -> float:
    """Give one figure, by its name, without an interval."""
    return next(measure for known, _, measure in MEASURES if known == name)(tallies)


def reliability(tallies: Sequence[Tally]) -> list[tuple[float, float, int, float, float]]:
    """Give, by bins of published confidence: from, to, decisions, mean confidence, share right."""
    counts = np.sum([one.bins for one in tallies], axis=0)
    return [
        (low, high, int(count), float(confidence / count), float(right / count))
        for (low, high), (count, confidence, right) in zip(
            itertools.pairwise(BINS), counts.tolist(), strict=True
        )
        if count
    ]


def _ratio(above: float, below: float, scale: float = 1.0) -> float:
    return scale * above / below if below > 0.0 else math.nan


def _speech_hours(tallies: Sequence[Tally]) -> float:
    return sum(one.known_s + one.unknown_s for one in tallies) / _HOUR_S


def _quantile(values: list[float], share: float) -> float:
    """Give the smallest value that `share` of all are at or below: infinities are welcome."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _firsts(tallies: Sequence[Tally]) -> list[float]:
    return [one.first_after_s for one in tallies if one.has_first]


def _lags(tallies: Sequence[Tally]) -> list[float]:
    return [lag for one in tallies for lag in one.lags_s]


def _within(limit_s: float) -> Callable[[Sequence[Tally]], float]:
    def measure(tallies: Sequence[Tally]) -> float:
        lags = _lags(tallies)
        return _ratio(sum(lag <= limit_s for lag in lags), len(lags), 100.0)

    return measure


def _calibration_error(tallies: Sequence[Tally]) -> float:
    rows = reliability(tallies)
    count = sum(row[2] for row in rows)
    return _ratio(sum(row[2] * abs(row[3] - row[4]) for row in rows), count, 100.0)


def _right_when_sure(tallies: Sequence[Tally]) -> float:
    sure = np.sum([one.bins for one in tallies], axis=0)[BINS.index(SURE) :]
    return _ratio(float(sure[:, 2].sum()), float(sure[:, 0].sum()), 100.0)


MEASURES: Final[tuple[tuple[str, str, Callable[[Sequence[Tally]], float]], ...]] = (
    (
        "first decision right",
        "%",
        lambda some: _ratio(
            sum(one.first_right for one in some if one.has_first), len(_firsts(some)), 100.0
        ),
    ),
    ("first decision, median", "s of speech", lambda some: _quantile(_firsts(some), 0.5)),
    ("first decision, 90 %", "s of speech", lambda some: _quantile(_firsts(some), 0.9)),
    *((f"switches within {limit:g} s", "%", _within(limit)) for limit in RECALL_S),
    ("switches found at all", "%", _within(1e9)),
    ("switch lag, median", "s of speech", lambda some: _quantile(_lags(some), 0.5)),
    (
        "since, median error",
        "s",
        lambda some: _quantile([abs(off) for one in some for off in one.since_off_s], 0.5),
    ),
    (
        "false switches",
        "/h",
        lambda some: _ratio(sum(one.false for one in some), _speech_hours(some)),
    ),
    (
        "of them to und",
        "/h",
        lambda some: _ratio(sum(one.false_und for one in some), _speech_hours(some)),
    ),
    (
        "reversals",
        "/h",
        lambda some: _ratio(sum(one.reversals for one in some), _speech_hours(some)),
    ),
    (
        "wrong language",
        "% of time",
        lambda some: _ratio(
            sum(one.wrong_s for one in some), sum(one.known_s for one in some), 100.0
        ),
    ),
    (
        "no language (und)",
        "% of time",
        lambda some: _ratio(
            sum(one.und_s for one in some), sum(one.known_s for one in some), 100.0
        ),
    ),
    (
        "und on unknown speech",
        "% of time",
        lambda some: _ratio(
            sum(one.unknown_und_s for one in some), sum(one.unknown_s for one in some), 100.0
        ),
    ),
    (
        "languages named where nobody speaks",
        "/h",
        lambda some: _ratio(
            sum(one.named_in_vain for one in some),
            sum(one.audio_s for one in some if one.known_s + one.unknown_s == 0.0) / _HOUR_S,
        ),
    ),
    ("confidence, calibration error", "points", _calibration_error),
    (f"right when {SURE:g} sure or more", "%", _right_when_sure),
)
"""What is measured: name, unit, function of recordings."""
