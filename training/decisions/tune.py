"""The sweep: many settings of the decider over recordings scored once, in parallel."""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.decision.confidence import published_probabilities
from langidd.decision.decider import Decider
from langidd.decision.presets import PRESETS, DeciderSettings
from langidd_training.decisions.bars import BARS
from langidd_training.decisions.figures import value
from langidd_training.decisions.naive import ArgMax, LockOnFirst, MajorityOfLast
from langidd_training.decisions.replay import decide
from langidd_training.decisions.score import Tally, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langidd.service.stream import Rule
    from langidd.types import Calibration
    from langidd_training.decisions.replay import ScoredRecording
    from langidd_training.decisions.truth import Truth

SPACE: Final[Mapping[str, tuple[float, ...]]] = {
    "mean_dwell_s": (4.0, 8.0, 15.0, 30.0, 60.0),
    "pause_switch_probability": (0.02, 0.05, 0.1, 0.2),
    "evidence_weight": (1.0, 1.5, 2.0, 3.0, 4.0, 5.0),
    "outlier_weight": (0.002, 0.005, 0.01, 0.03, 0.1),
    "und_weight": (0.05, 0.1, 0.2, 0.4, 1.0),
    "und_prior": (0.02, 0.05, 0.1, 0.2),
    "enter_threshold": (0.6, 0.7, 0.8, 0.9, 0.95),
    "first_enter_threshold": (0.6, 0.7, 0.8, 0.9),
    "leave_threshold": (0.01, 0.05, 0.15, 0.3),
    "debounce_s": (0.0, 0.0, 0.5, 1.0),
    "leave_debounce_s": (0.0, 1.0, 2.0, 3.0),
    "min_dwell_s": (0.5, 1.0, 2.0, 3.0),
}
"""What the sweep draws its settings from."""

ONE_LANGUAGE: Final = ("start", "one", "noisy")
SWITCHES: Final = ("turns", "inside", "mixed")

FIGURES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("lag_median_s", "switch lag, median", SWITCHES),
    ("recall_2s", "switches within 2 s", SWITCHES),
    ("recall_3s", "switches within 3 s", SWITCHES),
    ("false_per_h", "false switches", (*ONE_LANGUAGE, *SWITCHES)),
    ("false_clean_per_h", "false switches", ("start", "one")),
    ("false_noisy_per_h", "false switches", ("noisy",)),
    ("wrong_percent", "wrong language", SWITCHES),
    ("und_percent", "no language (und)", SWITCHES),
    ("first_right_percent", "first decision right", (*ONE_LANGUAGE, *SWITCHES)),
    ("first_median_s", "first decision, median", (*ONE_LANGUAGE, *SWITCHES)),
    ("first_90_s", "first decision, 90 %", (*ONE_LANGUAGE, *SWITCHES)),
    ("unknown_und_percent", "und on unknown speech", ("unknown",)),
    ("named_in_vain_per_h", "languages named where nobody speaks", ("nothing",)),
    ("calibration_error", "confidence, calibration error", (*ONE_LANGUAGE, *SWITCHES)),
)
"""The table's columns: name, figure, the kinds of recordings that it is measured on."""

_BAR_COLUMNS: Final = (
    "first_right_percent",
    "first_median_s",
    "first_90_s",
    "recall_2s",
    "recall_3s",
    "false_clean_per_h",
    "false_noisy_per_h",
    "wrong_percent",
    "named_in_vain_per_h",
    "unknown_und_percent",
)
"""The columns that `BARS` speaks of, in its order."""


@dataclass(frozen=True, slots=True)
class Point:
    """One rule's figures, by the names of `FIGURES`; `settings` where it is the decider."""

    name: str
    figures: Mapping[str, float]
    settings: DeciderSettings | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What every process of the sweep needs: scored recordings, truths, calibration."""

    scored: tuple[ScoredRecording, ...]
    truths: tuple[Truth, ...]
    calibration: Calibration


def tallies(material: Material, make_rule: Callable[[str], Rule]) -> list[Tally]:
    """Give each recording to a fresh rule, and compare its decisions with the truth."""
    results = []
    for scored, truth in zip(material.scored, material.truths, strict=True):
        decisions = decide(scored, make_rule(scored.name))
        one = tally(
            scored.name, decisions, truth, material.calibration.default_languages, scored.audio_s
        )
        one.model_s, one.other_s = scored.model_s, scored.other_s
        results.append(one)
    return results


def measure(results: Sequence[Tally]) -> dict[str, float]:
    """Give the figures of `FIGURES`; recordings of other kinds count for all of them."""
    listed = {kind for _, _, kinds in FIGURES for kind in kinds}
    return {
        name: value([one for one in results if one.kind in kinds or one.kind not in listed], figure)
        for name, figure, kinds in FIGURES
    }


def draw(count: int, seed: int) -> list[DeciderSettings]:
    """Draw settings from `SPACE`, each with the default's confidence and silence."""
    rng = np.random.default_rng(seed)
    drawn: list[DeciderSettings] = []
    while len(drawn) < count:
        numbers = {name: float(rng.choice(choices)) for name, choices in SPACE.items()}
        if numbers["leave_threshold"] < numbers["enter_threshold"]:
            drawn.append(replace(PRESETS["balanced"], **numbers))
    return drawn


def naive_points(material: Material) -> list[Point]:
    """Measure the naive rules; the majority also of other numbers of windows than five."""
    calibration = material.calibration
    rules: list[tuple[str, Callable[[str], Rule]]] = [
        ("raw arg-max", partial(ArgMax, calibration=calibration)),
        ("lock on first confident", partial(LockOnFirst, calibration=calibration)),
        *(
            (
                f"majority of last {windows}",
                partial(MajorityOfLast, calibration=calibration, windows=windows),
            )
            for windows in (3, 5, 7, 9)
        ),
    ]
    return [Point(name, measure(tallies(material, rule))) for name, rule in rules]


def decider_points(
    material: Material, candidates: Sequence[tuple[str, DeciderSettings]], jobs: int
) -> Iterator[Point]:
    """Measure settings, in `jobs` processes (1: in this one), in the order given."""
    if jobs <= 1:
        for name, settings in candidates:
            yield Point(name, _figures(material, settings), settings)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_keep, initargs=(material,)
    ) as pool:
        results = pool.map(_measure_kept, [settings for _, settings in candidates], chunksize=4)
        for (name, settings), figures in zip(candidates, results, strict=True):
            yield Point(name, figures, settings)


_kept: list[Material] = []


def _keep(material: Material) -> None:
    _kept[:] = [material]


def _measure_kept(settings: DeciderSettings) -> dict[str, float]:
    return _figures(_kept[0], settings)


def _figures(material: Material, settings: DeciderSettings) -> dict[str, float]:
    return measure(tallies(material, lambda name: Decider(name, material.calibration, settings)))


def shortfall(figures: Mapping[str, float]) -> float:
    """Sum up how far figures are from the bars, as shares of the bars; 0 where all hold."""
    total = 0.0
    for name, bar in zip(_BAR_COLUMNS, BARS, strict=True):
        gap = bar.limit - figures[name] if bar.at_least else figures[name] - bar.limit
        if not math.isnan(gap):
            total += min(10.0, max(0.0, gap) / max(bar.limit, 1.0))
    return total


def fit_confidence(named: Sequence[tuple[Mapping[str, float], str, bool]]) -> float:
    """Fit the slope of `published_probabilities` by maximum likelihood.

    Args:
        named: Of decisions made with slope 1: their probabilities, the language, and
            whether it was right.

    """
    from scipy.optimize import minimize_scalar

    def loss(log_slope: float) -> float:
        total = 0.0
        for belief, language, right in named:
            chance = published_probabilities(belief, math.exp(log_slope))[language]
            total -= math.log(max(chance if right else 1.0 - chance, 1e-12))
        return total

    return math.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x)


def table(points: Sequence[Point]) -> str:
    """Write points as TSV: name, figures, settings."""
    numbers = [field.name for field in fields(DeciderSettings)]
    names = [name for name, _, _ in FIGURES]
    lines = ["\t".join(["rule", *names, *numbers])]
    for point in points:
        settings = point.settings
        row = [point.name, *(f"{point.figures[name]:.4g}" for name in names)]
        row += ["" if settings is None else f"{getattr(settings, name):.4g}" for name in numbers]
        lines.append("\t".join(row))
    return "\n".join(lines) + "\n"
