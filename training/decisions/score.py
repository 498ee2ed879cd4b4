"""What one recording's decisions are worth, against its truth.

Time is counted in seconds of true speech: pauses cost nobody anything. What is in force
at a moment is the last decision whose audio had ended by then; the computer's own time
is reported apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.types import NO_SPEECH, UNCERTAIN
from langidd_training.decisions.replay import kind_of
from langidd_training.decisions.truth import TruthSpan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from langidd.types import Decision
    from langidd_training.decisions.truth import Truth

REVERSAL_S: Final = 2.0
"""A change that is taken back within so much speech is a reversal."""


BINS: Final = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Edges of the bins of published confidence."""


def _no_bins() -> npt.NDArray[np.float64]:
    return np.zeros((len(BINS) - 1, 3))


@dataclass(slots=True)
class Tally:
    """One recording's sums; ratios are made of many of them.

    Speech is `known_s` in the model's languages and `unknown_s` in others. Of the
    known, `wrong_s` had a wrong label in force and `und_s` none (`und`, or nothing yet).
    `first_*`: the first language named; `first_after_s` is infinite where none was.
    `lags_s`: for each switch between known languages the speech until the new one was
    published, infinite where it never was. `false`: changes that named a wrong language
    or took a right one away; `false_und` are those of them that went to `und`.
    `named_in_vain`: languages named in a recording in which nobody speaks.
    `confidences`: of each decision that names a language during speech, with whether
    it was right; `named`: the same with all its probabilities; `bins`: `(bins, 3)`, how
    many, their sum, and how many right.
    """

    name: str
    kind: str
    audio_s: float = 0.0
    known_s: float = 0.0
    unknown_s: float = 0.0
    wrong_s: float = 0.0
    und_s: float = 0.0
    unknown_und_s: float = 0.0
    has_first: bool = False
    first_right: bool = False
    first_after_s: float = math.inf
    lags_s: list[float] = field(default_factory=list)
    since_off_s: list[float] = field(default_factory=list)
    false: int = 0
    false_und: int = 0
    reversals: int = 0
    named_in_vain: int = 0
    confidences: list[tuple[float, bool]] = field(default_factory=list)
    named: list[tuple[Mapping[str, float], str, bool]] = field(default_factory=list)
    bins: npt.NDArray[np.float64] = field(default_factory=_no_bins)
    model_s: float = 0.0
    other_s: float = 0.0


def tally(
    name: str,
    decisions: Sequence[Decision],
    truth: Truth,
    languages: Sequence[str],
    audio_s: float = 0.0,
) -> Tally:
    """Compare decisions with the truth; speech in none of `languages` should be `und`."""
    known = _as_judged(truth, frozenset(languages))
    result = Tally(name, kind_of(name), audio_s=audio_s)
    changes = [decision for decision in decisions if decision.reason == "change"]
    _time_in_force(result, changes, known)
    _first(result, changes, known)
    _switches(result, changes, known)
    _false(result, changes, known)
    if known.spans:
        for one in decisions:
            if one.language in languages and one.reason != "pause":
                right = known.language_at(one.decided_at) == one.language
                result.confidences.append((one.confidence, right))
                result.named.append((one.probabilities, one.language, right))
    for confidence, right in result.confidences:
        place = min(int(np.searchsorted(BINS, confidence, side="right")) - 1, len(BINS) - 2)
        result.bins[place] += (1.0, confidence, float(right))
    if not known.spans:
        result.named_in_vain = sum(change.language in languages for change in changes)
    return result


def _as_judged(truth: Truth, languages: frozenset[str]) -> Truth:
    return type(truth)(
        tuple(
            span if span.language in languages else TruthSpan(span.start, span.end, UNCERTAIN)
            for span in truth.spans
        )
    )


def _time_in_force(result: Tally, changes: Sequence[Decision], truth: Truth) -> None:
    edges = [(-math.inf, UNCERTAIN), *((one.decided_at, one.language) for one in changes)]
    ends = [*(time for time, _ in edges[1:]), math.inf]
    for span in truth.spans:
        length = span.end - span.start
        if span.language == UNCERTAIN:
            result.unknown_s += length
        else:
            result.known_s += length
        for (begin, label), end in zip(edges, ends, strict=True):
            overlap = min(span.end, end) - max(span.start, begin)
            if overlap <= 0.0:
                continue
            if span.language == UNCERTAIN:
                result.unknown_und_s += overlap if label == UNCERTAIN else 0.0
            elif label == UNCERTAIN:
                result.und_s += overlap
            elif label != span.language:
                result.wrong_s += overlap


def _first(result: Tally, changes: Sequence[Decision], truth: Truth) -> None:
    if not truth.spans or truth.spans[0].language == UNCERTAIN:
        return
    result.has_first = True
    named = [one for one in changes if one.language not in (UNCERTAIN, NO_SPEECH)]
    if named:
        at = named[0].decided_at
        result.first_right = truth.language_at(at) == named[0].language
        result.first_after_s = truth.speech_until(at)


def _switches(result: Tally, changes: Sequence[Decision], truth: Truth) -> None:
    turns = truth.turns()
    for place in range(1, len(turns)):
        before, after = turns[place - 1], turns[place]
        if UNCERTAIN in (before.language, after.language):
            continue
        until = turns[place + 1].start if place + 1 < len(turns) else math.inf
        found = [
            change
            for change in changes
            if change.language == after.language and after.start <= change.decided_at < until
        ]
        if not found:
            result.lags_s.append(math.inf)
            continue
        at = found[0].decided_at
        result.lags_s.append(truth.speech_until(at) - truth.speech_until(after.start))
        result.since_off_s.append(found[0].since - after.start)


def _false(result: Tally, changes: Sequence[Decision], truth: Truth) -> None:
    if not truth.spans:
        return
    in_force: str | None = None
    was: tuple[str | None, float] = (None, -math.inf)
    for change in changes:
        at = change.decided_at
        true = truth.language_at(at)
        heard_s = truth.speech_until(at)
        if in_force is not None and true is not None and change.language != true:
            names_wrong = change.language not in (UNCERTAIN, NO_SPEECH)
            takes_away = in_force == true and (
                change.language == UNCERTAIN or truth.speaking_at(at)
            )
            if names_wrong or takes_away:
                result.false += 1
                result.false_und += change.language == UNCERTAIN
        if change.language == was[0] and heard_s - was[1] <= REVERSAL_S:
            result.reversals += 1
        was = (in_force, heard_s)
        in_force = change.language
