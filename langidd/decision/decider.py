"""The decider: a Bayes filter over a source's languages and `und`, with hysteresis.

It is pure: no clock, no random numbers, no model. The same scores and pauses give the
same decisions, to the bit; sums are exact (`math.fsum`), so that the order of the labels
does not matter either. Its memory does not grow. It counts durations: when the wall clock
is set, the dates that it keeps move with the clock, and nothing else changes.

Each window goes through four steps:

1. predict: the language may have changed in the new speech (a sticky transition with
   mean dwell `mean_dwell_s`), more likely so after a pause;
2. weigh: the calibrated probabilities, to the power of the share of new speech, since
   overlapping windows repeat each other;
3. decide: thresholds to enter and to leave, debounce and minimum dwell;
4. date: a change is dated back to where the evidence turned (CUSUM).

The confidence of a decision is the calibrated probability that its language is right, and the
same number as that language's among its probabilities.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

from langidd.decision.confidence import published_probabilities
from langidd.decision.cusum import Cusums
from langidd.decision.setup import candidate_languages, prior_probabilities
from langidd.types import NO_SPEECH, UNCERTAIN, Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langidd.decision.presets import DeciderSettings
    from langidd.types import Calibration, Pause, Scores, Span

_LEAST: Final = 1e-12
"""No state's probability falls below this: each can come back, and logarithms exist."""

_SAME_TIME_S: Final = 1e-6
"""Times that differ by less are the same."""

_CLOCK_STEP_S: Final = 0.25
"""Stamps that go back by more show that the clock was set; by less, that they were corrected
for drift."""


class Decider:
    """Decides which language a source speaks, from its windows' scores and its pauses."""

    def __init__(
        self,
        source: str,
        calibration: Calibration,
        settings: DeciderSettings,
        *,
        candidates: Sequence[str] | None = None,
        priors: Mapping[str, float] | None = None,
    ) -> None:
        """Start without any evidence.

        Args:
            source: The source's name, for decisions and errors.
            calibration: The model's labels and threshold.
            settings: All numbers.
            candidates: The languages that the source may speak, the model's own choice where
                None; what the model gives to others counts for `und`.
            priors: Relative probabilities of the languages before any evidence (equal where
                not named); `und` may be among them.

        Raises:
            ConfigError: The model does not have one of the languages, or a prior is not
                above 0.

        """
        self.source = source
        self.calibration = calibration
        self.settings = settings
        self.languages = candidate_languages(source, calibration, candidates)
        self._states = (*self.languages, UNCERTAIN)
        self._prior = prior_probabilities(source, self.languages, priors, settings.und_prior)
        self.reset()

    def reset(self) -> None:
        """Forget all evidence, and what was published."""
        self._belief = dict(self._prior)
        self._language: str | None = None
        self._last_named: str | None = None
        self._previous: str | None = None
        self._since = 0.0
        self._since_speech_s = 0.0
        self._decided_at = 0.0
        self._now: float | None = None
        self._speech_s = 0.0
        self._silence_s = 0.0
        self._silent_since: float | None = None
        self._segment: int | None = None
        self._segment_scored_until = 0.0
        self._dwell_s = 0.0
        self._challenger: str | None = None
        self._challenged_s = 0.0
        self._below_leave_s = 0.0
        self._cusums = Cusums(self._states)

    def update(self, scores: Scores) -> Decision:
        """Weigh one window's scores; returns a `change` or an `update`."""
        span = scores.span
        new_s = self._take_span(span)
        weight = min(
            1.0, self.settings.evidence_weight * new_s / max(span.duration_s, _SAME_TIME_S)
        )
        evidence = self._evidence(scores.probabilities)
        if new_s > 0.0:
            self._mix(-math.expm1(-new_s / self.settings.mean_dwell_s))
            self._weigh(evidence, weight)
        published = self._language if self._language in self.languages else None
        self._cusums.add(evidence, weight, published=published, span=span, speech_s=self._speech_s)
        self._decided_at = span.end
        language = self._choose(new_s)
        if language == self._language:
            return self._decision("update")
        rise = self._cusums.rise(language)
        since, speech_s = rise or (span.start, self._speech_s - span.duration_s)
        return self._change(language, max(since, self._since), max(speech_s, 0.0))

    def pause(self, pause: Pause) -> Decision | None:
        """Let time without speech pass.

        Time without any sound (a gap) lets the evidence decay as silence does, but it is
        not silence: it never makes `zxx`, and a long one starts the count again.

        Returns:
            A `pause` when it ended a speech segment, a `change` when the silence has become
            long enough for `zxx`, else None.

        """
        if pause.clock_step_s:
            self._move_dates(pause.clock_step_s)
        self._follow_clock(pause.start)
        length_s = max(0.0, pause.end - pause.start)
        self._now = max(pause.start, pause.end)
        ended, self._segment = self._segment is not None, None
        self._decay(length_s)
        if not pause.gap:
            if self._silent_since is None:
                self._silent_since = pause.start
            self._silence_s += length_s
        elif length_s >= self.settings.no_speech_after_s:
            self._silence_s, self._silent_since = 0.0, None
        since = self._silent_since
        enough = self._silence_s >= self.settings.no_speech_after_s
        if since is not None and enough and self._language != NO_SPEECH:
            self._decided_at = self._now
            return self._change(NO_SPEECH, since, self._speech_s)
        return self._decision("pause") if ended else None

    # Time.

    def _take_span(self, span: Span) -> float:
        """Note a window's place; returns its new speech in seconds.

        Speech counts once, also where a window before it was dropped; a window that comes
        twice counts nothing.
        """
        if span.segment == self._segment:
            if span.end < self._segment_scored_until - _SAME_TIME_S:
                self._follow_clock(span.end - span.new_s)
            new_s = max(0.0, span.end - self._segment_scored_until)
        else:
            self._follow_clock(span.end - span.new_s)
            new_s = span.new_s
            if self._speech_s > 0.0:
                self._mix(self.settings.pause_switch_probability)
        self._now = span.end
        self._segment, self._segment_scored_until = span.segment, span.end
        self._silence_s, self._silent_since = 0.0, None
        self._speech_s += new_s
        self._dwell_s += new_s
        return new_s

    def _follow_clock(self, start: float) -> None:
        """Take stamps that go back for a clock that was set back."""
        if self._now is not None and start < self._now - _CLOCK_STEP_S:
            self._move_dates(start - self._now)

    def _move_dates(self, step_s: float) -> None:
        self._since += step_s
        self._decided_at += step_s
        self._segment_scored_until += step_s
        if self._now is not None:
            self._now += step_s
        if self._silent_since is not None:
            self._silent_since += step_s
        self._cusums.move_dates(step_s)

    # The filter.

    def _evidence(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Spread a window's calibrated probabilities over the states.

        What lies outside the candidates, times `und_weight`, speaks for `und`. So does
        what the best language lacks: at the calibration's threshold, `und` is as likely
        as that language.
        """
        evidence = {language: probabilities[language] for language in self.languages}
        evidence[UNCERTAIN] = self.settings.und_weight * math.fsum(
            value for label, value in probabilities.items() if label not in evidence
        )
        evidence = _normalised(evidence)
        threshold = min(max(self.calibration.und_threshold, 0.0), 1.0 - _LEAST)
        best = max(evidence[language] for language in self.languages)
        lacking = threshold * ((1.0 - best) / (1.0 - threshold)) ** 2
        evidence[UNCERTAIN] = max(evidence[UNCERTAIN], min(lacking, 1.0))
        outlier = self.settings.outlier_weight
        return {
            state: (1.0 - outlier) * value + outlier / len(evidence)
            for state, value in _normalised(evidence).items()
        }

    def _mix(self, chance: float) -> None:
        """With `chance` each state moves to the others, in the proportion of their priors."""
        leaving = {
            state: belief / (1.0 - self._prior[state]) for state, belief in self._belief.items()
        }
        total = math.fsum(leaving.values())
        self._set(
            {
                state: (1.0 - chance) * belief
                + chance * self._prior[state] * (total - leaving[state])
                for state, belief in self._belief.items()
            }
        )

    def _weigh(self, evidence: Mapping[str, float], power: float) -> None:
        self._set({state: self._belief[state] * evidence[state] ** power for state in self._states})

    def _decay(self, length_s: float) -> None:
        kept = math.exp(-length_s / self.settings.decay_s)
        self._set(
            {
                state: kept * belief + (1.0 - kept) * self._prior[state]
                for state, belief in self._belief.items()
            }
        )

    def _set(self, belief: Mapping[str, float]) -> None:
        self._belief = _normalised({state: max(value, _LEAST) for state, value in belief.items()})

    # What is published.

    def _choose(self, new_s: float) -> str:
        """Apply thresholds and times to the belief; returns the language to publish."""
        settings = self.settings
        best = max(self._states, key=lambda state: (self._belief[state], state))
        named = self._language if self._language in self.languages else None
        current = named or UNCERTAIN
        if named:
            below = self._belief[current] < settings.leave_threshold
            self._below_leave_s = self._below_leave_s + new_s if below else 0.0
        known = best in (self._last_named, UNCERTAIN) or self._last_named is None
        enter = settings.enter_threshold
        if known and not named:
            enter = settings.first_enter_threshold
        challenged = best != current and self._belief[best] >= enter
        if challenged and best == self._challenger:
            self._challenged_s += new_s
        else:
            self._challenger = best if challenged else None
            self._challenged_s = 0.0
        if named and self._dwell_s < settings.min_dwell_s:
            return current
        if self._challenger is not None:
            at_once = known and not named
            return best if at_once or self._challenged_s >= settings.debounce_s else current
        return UNCERTAIN if self._below_leave_s > settings.leave_debounce_s else current

    def _change(self, language: str, since: float, speech_s: float) -> Decision:
        self._previous, self._language = self._language, language
        if language != UNCERTAIN:
            self._last_named = None if language == NO_SPEECH else language
        self._since, self._since_speech_s = since, speech_s
        self._dwell_s = self._below_leave_s = self._challenged_s = 0.0
        self._challenger = None
        self._cusums.reset()
        return self._decision("change")

    def _decision(self, reason: Literal["change", "update", "pause"]) -> Decision:
        language = self._language or UNCERTAIN
        probabilities = {}
        if language != NO_SPEECH:
            slope = self.settings.confidence_slope
            probabilities = published_probabilities(self._belief, slope)
        return Decision(
            source=self.source,
            language=language,
            confidence=probabilities.get(language, 1.0),
            reason=reason,
            since=min(self._since, self._decided_at),
            decided_at=self._decided_at,
            previous=self._previous,
            speech_s=self._speech_s - self._since_speech_s,
            probabilities=probabilities,
        )


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(values.values())
    return {state: value / total for state, value in values.items()}
