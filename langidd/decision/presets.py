"""Every number behind a decision, and three sets of them to choose from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from langidd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class DeciderSettings:
    """How the decider weighs evidence, and when it publishes a change.

    The filter:

    - `mean_dwell_s`: mean seconds of speech for which a language is taken to last.
    - `pause_switch_probability`: probability that the language is another one after a pause.
    - `decay_s`: time constant of silence (seconds) with which evidence decays to the priors.
    - `evidence_weight`: factor on the weight new speech / window length of a window's scores
      (which never rises above 1); 1 lets all windows over a second of speech together say
      as much as one window.
    - `outlier_weight`: probability that a window says nothing (a breath, a cough), whatever
      its scores.
    - `und_weight`: factor on what a window gives to languages outside the candidates and to
      the model's unknown labels; below 1 where the model calls too much unknown.
    - `und_prior`: probability, before any evidence, that speech is in no candidate language.

    What is published:

    - `enter_threshold`: a language is named when its probability reaches this.
    - `first_enter_threshold`: the same, where no language is named so far (`und`, `zxx`,
      the start).
    - `leave_threshold`: below this a named language is given up for `und`.
    - `debounce_s`: seconds of speech for which another language must stay above
      `enter_threshold` before it replaces a named one.
    - `leave_debounce_s`: seconds of speech for which a named language must stay below
      `leave_threshold` before it is given up.
    - `min_dwell_s`: seconds of speech for which a named language stays at least.
    - `no_speech_after_s`: seconds of silence after which the decision is `zxx`.
    - `confidence_slope`: factor that turns the log-odds of the filter into those of the
      published probabilities (fitted by `langidd-train tune`). The thresholds above apply to
      the filter's own probabilities.

    Raises:
        ConfigError: A number lies outside its range.

    """

    mean_dwell_s: float = 8.0
    pause_switch_probability: float = 0.02
    decay_s: float = 120.0
    evidence_weight: float = 1.5
    outlier_weight: float = 0.002
    und_weight: float = 0.2
    und_prior: float = 0.05
    enter_threshold: float = 0.7
    first_enter_threshold: float = 0.8
    leave_threshold: float = 0.15
    debounce_s: float = 0.0
    leave_debounce_s: float = 1.0
    min_dwell_s: float = 1.0
    no_speech_after_s: float = 30.0
    confidence_slope: float = 0.81

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"decision.{name} = {value!r}: give {low:g} to {high:g}")
        if self.leave_threshold >= self.enter_threshold:
            raise ConfigError(
                f"decision.leave_threshold = {self.leave_threshold!r}: give less than "
                f"decision.enter_threshold ({self.enter_threshold!r})"
            )


_RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "mean_dwell_s": (0.1, 86_400.0),
        "pause_switch_probability": (0.0, 1.0),
        "decay_s": (1.0, 86_400.0),
        "evidence_weight": (0.01, 10.0),
        "outlier_weight": (1e-6, 0.99),
        "und_weight": (1e-3, 100.0),
        "und_prior": (1e-4, 0.99),
        # above one half no two languages can reach it at once
        "enter_threshold": (0.51, 0.9999),
        "first_enter_threshold": (0.51, 0.9999),
        "leave_threshold": (0.0, 0.99),
        "debounce_s": (0.0, 600.0),
        "leave_debounce_s": (0.0, 600.0),
        "min_dwell_s": (0.0, 600.0),
        "no_speech_after_s": (0.5, 86_400.0),
        "confidence_slope": (0.01, 10.0),
    }
)

BALANCED: Final = DeciderSettings()
FAST: Final = replace(
    BALANCED,
    mean_dwell_s=4.0,
    pause_switch_probability=0.15,
    evidence_weight=3.0,
    outlier_weight=0.015,
    und_weight=0.45,
    enter_threshold=0.75,
    first_enter_threshold=0.75,
    leave_threshold=0.1,
    leave_debounce_s=1.0,
    min_dwell_s=0.5,
    no_speech_after_s=15.0,
    confidence_slope=0.77,
)
STEADY: Final = replace(
    BALANCED,
    mean_dwell_s=15.0,
    pause_switch_probability=0.05,
    evidence_weight=1.5,
    outlier_weight=0.01,
    und_weight=0.45,
    enter_threshold=0.9,
    first_enter_threshold=0.85,
    leave_threshold=0.02,
    leave_debounce_s=3.0,
    min_dwell_s=3.0,
    no_speech_after_s=60.0,
    confidence_slope=0.8,
)

PRESETS: Final[Mapping[str, DeciderSettings]] = MappingProxyType(
    {"fast": FAST, "balanced": BALANCED, "steady": STEADY}
)
"""The sets by name; `balanced` is the default."""


def decider_settings(preset: str = "balanced", **numbers: float | None) -> DeciderSettings:
    """Give the preset's numbers with those of `numbers` that are not None in their place.

    Raises `ConfigError` for a preset or a number that does not exist, or out of range.
    """
    if preset not in PRESETS:
        raise ConfigError(f"decision.preset = {preset!r}: give one of {', '.join(PRESETS)}")
    known = {field.name for field in fields(DeciderSettings)}
    for name in numbers:
        if name not in known:
            raise ConfigError(f"decision.{name}: no such number; there are {', '.join(known)}")
    return replace(
        PRESETS[preset],
        **{name: float(value) for name, value in numbers.items() if value is not None},
    )
