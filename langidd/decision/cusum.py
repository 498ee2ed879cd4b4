"""Since when the evidence speaks for a language: Page's cumulative sum (CUSUM).

The sum of a state's log-likelihood ratios against the published state is held at or above zero;
the change is dated to where the rise began that led to it (Page, Continuous Inspection Schemes,
Biometrika 41, 1954).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langidd.types import Span

_SAME_TIME_S: Final = 1e-6


@dataclass(slots=True)
class _Sum:
    total: float = 0.0
    since: float = 0.0
    speech_s: float = 0.0


class Cusums:
    """The sums of all states, since the last change of the published one."""

    def __init__(self, states: Iterable[str]) -> None:
        self._sums = {state: _Sum() for state in states}

    def reset(self) -> None:
        """Start again at zero."""
        self._sums = {state: _Sum() for state in self._sums}

    def move_dates(self, step_s: float) -> None:
        """Move all dates, as the clock was set."""
        for one in self._sums.values():
            one.since += step_s

    def add(
        self,
        evidence: Mapping[str, float],
        weight: float,
        *,
        published: str | None,
        span: Span,
        speech_s: float,
    ) -> None:
        """Add a window's evidence to the sums.

        Args:
            evidence: The likelihood of each state.
            weight: The exponent of the likelihoods.
            published: The language that is published; None where none is, and a state has
                to beat all others.
            span: The window's place.
            speech_s: The source's seconds of speech up to its end.

        """
        for state, one in self._sums.items():
            if state == published:
                continue
            if published is None:
                against = max(value for other, value in evidence.items() if other != state)
            else:
                against = evidence[published]
            gain = weight * math.log(evidence[state] / against)
            if one.total <= 0.0 < gain:
                one.since = _turn(span)
                one.speech_s = speech_s - (span.end - one.since)
                one.total = 0.0
            one.total = max(0.0, one.total + gain)

    def rise(self, state: str) -> tuple[float, float] | None:
        """Return when a state's sum rose from zero, and the speech until then; None: it is zero."""
        one = self._sums[state]
        return (one.since, one.speech_s) if one.total > 0.0 else None


def _turn(span: Span) -> float:
    """Return when the evidence turned, where this window is the first for another language.

    A window speaks for the language that fills most of it: the change lay between half of
    this window and half of the one before it. The first of a segment is all new.
    """
    if span.new_s >= span.duration_s - _SAME_TIME_S:
        return span.start
    return max(span.start, span.end - (span.duration_s + span.new_s) / 2.0)
