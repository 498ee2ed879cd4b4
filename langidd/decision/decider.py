"""The decider: a Bayes filter over the languages of a source and `und`, with hysteresis.

It is pure: no clock, no chance, no model. The same scores and pauses give the same
decisions, to the bit; sums are exact (`math.fsum`), so that the order of the labels
does not matter either. What it keeps does not grow with what it has heard.

Each window goes through four steps:

1. predict: the language may have changed in the new speech (a sticky transition with
   mean dwell `dwell_s`), more likely so after a pause;
2. weigh: the calibrated probabilities, to the power of the share of new speech, since
   windows that overlap say the same thing again;
3. decide: thresholds to enter and to leave, times to confirm and to hold;
4. date: a change is dated back to where the evidence turned (Page's cumulative sum,
   Biometrika 41, 1954: the start of the excursion that led to it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from langidd.errors import ConfigError
from langidd.model.calibration import window_probabilities
from langidd.types import NO_SPEECH, UNCERTAIN, Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langidd.decision.presets import DeciderSettings
    from langidd.types import Calibration, Pause, Scores, Span

_LEAST: Final = 1e-12
"""No state's probability falls below this: each can come back, and logarithms exist."""

_SAME_TIME_S: Final = 1e-6
"""Windows whose ends differ by less than this end together."""


@dataclass(slots=True)
class _Excursion:
    """The evidence for a state against the published one, summed up while above zero."""

    height: float = 0.0
    since: float = 0.0
    speech_s: float = 0.0


class Decider:
    """Says which language a source speaks, from the scores of its windows and its pauses.

    `candidates` are the languages that the source may speak (all of the model's where
    None); what the model gives to others counts for `und`. `priors` are their relative
    chances before anything is heard (equal where not named; `und` may be among them).
    Raises `ConfigError` for a language that the model does not have.
    """

    def __init__(
        self,
        source: str,
        calibration: Calibration,
        settings: DeciderSettings,
        *,
        candidates: Sequence[str] | None = None,
        priors: Mapping[str, float] | None = None,
    ) -> None:
        self.source = source
        self.calibration = calibration
        self.settings = settings
        self.languages = _languages(source, calibration, candidates)
        self._states = (*self.languages, UNCERTAIN)
        self._prior = _prior(source, self.languages, priors, settings.und_prior)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard, and what was published."""
        self._belief = dict(self._prior)
        self._language: str | None = None
        self._last_named: str | None = None
        self._previous: str | None = None
        self._since = 0.0
        self._since_speech_s = 0.0
        self._decided_at = 0.0
        self._speech_s = 0.0
        self._silence_s = 0.0
        self._silent_until = -math.inf
        self._silent_from: float | None = None
        self._segment: int | None = None
        self._ended_at = -math.inf
        self._durations: tuple[float, ...] = ()
        self._in_segment = False
        self._held_s = 0.0
        self._challenger: str | None = None
        self._challenged_s = 0.0
        self._left_s = 0.0
        self._excursions = {state: _Excursion() for state in self._states}

    def update(self, scores: Scores) -> Decision:
        """Weigh one window's scores and say what is spoken: a `change` or an `update`."""
        span = scores.span
        new_s, weight = self._advance(span)
        evidence = self._evidence(scores)
        if new_s > 0.0:
            self._predict(new_s)
        if weight > 0.0:
            self._weigh(evidence, weight)
        self._trace(evidence, weight, span)
        self._decided_at = span.end
        language = self._choose(new_s)
        if language == self._language:
            return self._decision("update")
        excursion = self._excursions[language]
        turned, heard_s = excursion.since, excursion.speech_s
        if excursion.height <= 0.0:
            turned, heard_s = span.start, self._speech_s - span.duration_s
        return self._change(language, max(turned, self._since), max(heard_s, 0.0))

    def pause(self, pause: Pause) -> Decision | None:
        """Let time without speech pass.

        Gives a `pause` when it ended a speech segment, a `change` when the silence
        has become long enough for `zxx`, else None. Time without any sound (a gap) is
        forgotten over like silence, but it is no silence: it never makes `zxx`.
        """
        length_s = max(0.0, pause.end - max(pause.start, self._silent_until))
        self._silent_until = max(pause.end, self._silent_until)
        ended, self._in_segment = self._in_segment, False
        self._segment = None
        self._forget(length_s)
        if pause.gap:
            self._silence_s, self._silent_from = 0.0, None
        else:
            if self._silent_from is None:
                self._silent_from = pause.start
            self._silence_s += length_s
        if self._language != NO_SPEECH and self._silence_s >= self.settings.no_speech_after_s:
            self._decided_at = pause.end
            since = pause.start if self._silent_from is None else self._silent_from
            return self._change(NO_SPEECH, since, self._speech_s)
        return self._decision("pause") if ended else None

    # the filter

    def _advance(self, span: Span) -> tuple[float, float]:
        """Take note of a window's place: give its new speech (s) and its evidence's weight.

        Speech counts once, though windows of several lengths end together, and though a
        window before it was dropped; a window that comes twice weighs nothing.
        """
        duration_s = max(span.duration_s, _SAME_TIME_S)
        is_first = span.segment != self._segment
        if is_first:
            new_s = span.new_s
            if self._speech_s > 0.0:
                self._mix(self.settings.pause_switch)
        else:
            new_s = span.end - self._ended_at
            if abs(new_s) < _SAME_TIME_S:
                seen = any(abs(duration_s - other) < _SAME_TIME_S for other in self._durations)
                if seen or len(self._durations) > 7:  # noqa: PLR2004 - more lengths than anyone uses
                    return 0.0, 0.0
                self._durations = (*self._durations, duration_s)
                return 0.0, self._weight(span.new_s, duration_s)
            new_s = max(new_s, 0.0)
        self._segment, self._ended_at, self._durations = span.segment, span.end, (duration_s,)
        self._in_segment = True
        self._silence_s, self._silent_from = 0.0, None
        self._speech_s += new_s
        self._held_s += new_s
        return new_s, self._weight(new_s, duration_s)

    def _weight(self, new_s: float, duration_s: float) -> float:
        """Give a window's weight: its share of new speech, and never more than once its own."""
        return min(1.0, self.settings.evidence * new_s / duration_s)

    def _evidence(self, scores: Scores) -> dict[str, float]:
        """Spread a window's calibrated probabilities over the states.

        What lies outside the candidates, times `und_weight`, speaks for `und`. So does
        what the best language lacks: at the calibration's threshold, `und` is as likely
        as that language.
        """
        probabilities = window_probabilities(scores, self.calibration)
        evidence = {language: probabilities[language] for language in self.languages}
        evidence[UNCERTAIN] = self.settings.und_weight * math.fsum(
            value for label, value in probabilities.items() if label not in evidence
        )
        evidence = _normalised(evidence)
        threshold = min(max(self.calibration.und_threshold, 0.0), 1.0 - _LEAST)
        best = max(evidence[language] for language in self.languages)
        lacking = threshold * ((1.0 - best) / (1.0 - threshold)) ** 2
        evidence[UNCERTAIN] = max(evidence[UNCERTAIN], min(lacking, 1.0))
        doubt = self.settings.doubt
        return {
            state: (1.0 - doubt) * value + doubt / len(evidence)
            for state, value in _normalised(evidence).items()
        }

    def _predict(self, new_s: float) -> None:
        self._mix(-math.expm1(-new_s / self.settings.dwell_s))

    def _mix(self, chance: float) -> None:
        """With `chance` each state gives way to the others, in the proportion of their priors."""
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

    def _forget(self, silence_s: float) -> None:
        kept = math.exp(-silence_s / self.settings.memory_s)
        self._set(
            {
                state: kept * belief + (1.0 - kept) * self._prior[state]
                for state, belief in self._belief.items()
            }
        )

    def _set(self, belief: Mapping[str, float]) -> None:
        self._belief = _normalised({state: max(value, _LEAST) for state, value in belief.items()})

    # what is published

    def _named(self) -> bool:
        return self._language in self.languages

    def _choose(self, new_s: float) -> str:
        """Apply thresholds and times to the belief: give the language to be published."""
        settings = self.settings
        best = max(self._states, key=lambda state: (self._belief[state], state))
        named = self._language if self._language in self.languages else None
        current = named or UNCERTAIN
        if named:
            self._left_s = self._left_s + new_s if self._belief[current] < settings.leave else 0.0
        known = best in (self._last_named, UNCERTAIN) or self._last_named is None
        enter = settings.first_enter if known and not named else settings.enter
        challenged = best != current and self._belief[best] >= enter
        if challenged and best == self._challenger:
            self._challenged_s += new_s
        else:
            self._challenger = best if challenged else None
            self._challenged_s = 0.0
        if named and self._held_s < settings.hold_s:
            return current
        if self._challenger is not None:
            sure = known and not named
            return best if sure or self._challenged_s >= settings.confirm_s else current
        return UNCERTAIN if self._left_s > settings.leave_s else current

    def _trace(self, evidence: Mapping[str, float], weight: float, span: Span) -> None:
        """Sum up each state's evidence against the published one, and date its rise."""
        reference = self._language if self._named() else None
        for state, excursion in self._excursions.items():
            if state == reference:
                continue
            if reference is None:
                # nothing is named: a state's own rivals are what it must beat
                against = max(value for other, value in evidence.items() if other != state)
            else:
                against = evidence[reference]
            gain = weight * math.log(evidence[state] / against)
            if excursion.height <= 0.0 < gain:
                excursion.since = _turn(span)
                excursion.speech_s = self._speech_s - (span.end - excursion.since)
                excursion.height = 0.0
            excursion.height = max(0.0, excursion.height + gain)

    def _change(self, language: str, since: float, heard_s: float) -> Decision:
        self._previous, self._language = self._language, language
        if language != UNCERTAIN:
            self._last_named = None if language == NO_SPEECH else language
        self._since, self._since_speech_s = since, heard_s
        self._held_s = self._left_s = self._challenged_s = 0.0
        self._challenger = None
        self._excursions = {state: _Excursion() for state in self._states}
        return self._decision("change")

    def _decision(self, reason: Literal["change", "update", "pause"]) -> Decision:
        return Decision(
            source=self.source,
            language=self._language or UNCERTAIN,
            confidence=self._confidence(),
            reason=reason,
            since=self._since,
            decided_at=self._decided_at,
            previous=self._previous,
            speech_s=self._speech_s - self._since_speech_s,
            probabilities=dict(self._belief),
        )

    def _confidence(self) -> float:
        if self._language == NO_SPEECH:
            return 1.0
        if not self._named():
            return 1.0 - max(self._belief[language] for language in self.languages)
        belief = min(self._belief[str(self._language)], 1.0 - _LEAST)
        odds = math.log(belief) - math.log1p(-belief)
        scaled = self.settings.confidence_slope * odds + self.settings.confidence_offset
        return 1.0 / (1.0 + math.exp(-scaled))


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(values.values())
    return {state: value / total for state, value in values.items()}


def _turn(span: Span) -> float:
    """When the evidence turned, where this window is the first for another language.

    A window speaks for what fills most of it: the change lay between half of this
    window and half of the one before it. The first of a segment is all new.
    """
    if span.new_s >= span.duration_s - _SAME_TIME_S:
        return span.start
    return max(span.start, span.end - (span.duration_s + span.new_s) / 2.0)


def _languages(
    source: str, calibration: Calibration, candidates: Sequence[str] | None
) -> tuple[str, ...]:
    known = calibration.languages
    chosen = known if candidates is None else tuple(dict.fromkeys(candidates))
    for language in chosen:
        if language not in known:
            raise ConfigError(
                f"candidates of {source}: the model does not know {language!r}; "
                f"it knows {', '.join(known)}"
            )
    if not chosen:
        raise ConfigError(f"candidates of {source}: none; give some of {', '.join(known)}")
    return chosen


def _prior(
    source: str,
    languages: Sequence[str],
    priors: Mapping[str, float] | None,
    und_prior: float,
) -> dict[str, float]:
    """Normalise the languages' priors to what `und` leaves them; none is nought."""
    given = dict(priors or {})
    for language, prior in given.items():
        if language != UNCERTAIN and language not in languages:
            raise ConfigError(
                f"priors of {source}: {language!r} is none of its candidates "
                f"({', '.join(languages)})"
            )
        if not (math.isfinite(prior) and prior > 0.0):
            raise ConfigError(f"priors of {source}: {language} = {prior!r}: give more than 0")
    und = given.pop(UNCERTAIN, und_prior)
    if not 0.0 < und < 1.0:
        raise ConfigError(f"priors of {source}: und = {und!r}: give more than 0 and less than 1")
    # a language without a prior of its own is as likely as those with one are on average
    usual = math.fsum(given.values()) / len(given) if given else 1.0
    weights = {language: given.get(language, usual) for language in languages}
    total = math.fsum(weights.values())
    return {
        **{language: (1.0 - und) * weight / total for language, weight in weights.items()},
        UNCERTAIN: und,
    }
