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
    """How the decider weighs evidence, and when it speaks of a change.

    The filter:

    - `dwell_s`: mean seconds of speech for which a language is taken to stay.
    - `pause_switch`: chance that the language is another one after a pause.
    - `memory_s`: time constant of silence (seconds) with which the past is forgotten.
    - `evidence`: factor on the weight new speech / window length of a window's scores
      (which never rises above 1); 1 lets all windows over a second of speech together say
      as much as one window.
    - `doubt`: chance that a window says nothing (a breath, a cough), whatever its scores.
    - `und_weight`: factor on what a window gives to languages outside the candidates and to
      the model's unknown labels; below 1 where the model calls too much unknown.
    - `und_prior`: chance, before anything was heard, that speech is in no candidate language.

    What is published:

    - `enter`: a language is named when its probability reaches this.
    - `first_enter`: the same, where no language is named so far (`und`, `zxx`, the start).
    - `leave`: below this a named language is given up for `und`.
    - `confirm_s`: seconds of speech for which another language must stay above `enter`
      before it takes the place of a named one; `leave_s` the same for giving up.
    - `hold_s`: seconds of speech for which a named language stays at the least.
    - `no_speech_after_s`: seconds of silence after which the answer is `zxx`.
    - `confidence_slope`, `confidence_offset`: what turns the log-odds of the filter into
      those of the published confidence (Platt's scaling, fitted by `langidd-train tune`).

    Raises `ConfigError` where a number lies outside its range.
    """

    dwell_s: float = 5.0
    pause_switch: float = 0.1
    memory_s: float = 120.0
    evidence: float = 2.0
    doubt: float = 0.015
    und_weight: float = 0.45
    und_prior: float = 0.05
    enter: float = 0.85
    first_enter: float = 0.82
    leave: float = 0.05
    confirm_s: float = 0.0
    leave_s: float = 2.0
    hold_s: float = 1.5
    no_speech_after_s: float = 30.0
    confidence_slope: float = 0.75
    confidence_offset: float = 0.05

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"decision.{name} = {value!r}: give {low:g} to {high:g}")
        if self.leave >= self.enter:
            raise ConfigError(
                f"decision.leave = {self.leave!r}: give less than decision.enter ({self.enter!r})"
            )


_RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "dwell_s": (0.1, 86_400.0),
        "pause_switch": (0.0, 1.0),
        "memory_s": (1.0, 86_400.0),
        "evidence": (0.01, 10.0),
        "doubt": (1e-6, 0.99),
        "und_weight": (1e-3, 100.0),
        "und_prior": (1e-4, 0.99),
        # above one half no two languages can reach it at once
        "enter": (0.51, 0.9999),
        "first_enter": (0.51, 0.9999),
        "leave": (0.0, 0.99),
        "confirm_s": (0.0, 600.0),
        "leave_s": (0.0, 600.0),
        "hold_s": (0.0, 600.0),
        "no_speech_after_s": (0.5, 86_400.0),
        "confidence_slope": (0.01, 10.0),
        "confidence_offset": (-10.0, 10.0),
    }
)

BALANCED: Final = DeciderSettings()
FAST: Final = replace(
    BALANCED,
    dwell_s=4.0,
    pause_switch=0.15,
    evidence=3.0,
    enter=0.75,
    first_enter=0.75,
    leave=0.1,
    leave_s=1.0,
    hold_s=0.5,
    no_speech_after_s=15.0,
    confidence_slope=0.65,
    confidence_offset=-0.05,
)
STEADY: Final = replace(
    BALANCED,
    dwell_s=15.0,
    pause_switch=0.05,
    evidence=1.5,
    doubt=0.01,
    enter=0.9,
    first_enter=0.85,
    leave=0.02,
    leave_s=3.0,
    hold_s=3.0,
    no_speech_after_s=60.0,
    confidence_slope=0.85,
    confidence_offset=-0.7,
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
