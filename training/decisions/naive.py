"""The rules that others use, to show what the filter buys.

They get the same windows, calibrated the same way, and name `und` where the model's
unknown labels win. None of them knows silence.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from langidd.types import UNCERTAIN, Decision

if TYPE_CHECKING:
    from langidd.types import Calibration, Pause, Scores


class NaiveRule:
    """Publishes whatever `judge` says of each window."""

    def __init__(self, source: str, calibration: Calibration) -> None:
        self._source, self._calibration = source, calibration
        self._language: str | None = None
        self._since = 0.0

    def update(self, scores: Scores) -> Decision:
        """Take one window's scores: a `change` or an `update`."""
        probabilities = scores.probabilities
        label = max(probabilities, key=lambda name: (probabilities[name], name))
        best = label if label in self._calibration.default_languages else UNCERTAIN
        language = self.judge(best, probabilities[label])
        previous, changed = self._language, language != self._language
        if changed:
            self._language, self._since = language, scores.span.start
        return Decision(
            source=self._source,
            language=language,
            confidence=probabilities.get(language, probabilities[label]),
            reason="change" if changed else "update",
            since=self._since,
            decided_at=scores.span.end,
            previous=previous,
            probabilities=probabilities,
        )

    def pause(self, pause: Pause) -> None:  # noqa: ARG002 - none of them knows silence
        """Take a pause, and do nothing."""
        return

    def judge(self, best: str, probability: float) -> str:
        """Turn a window's best language into the answer."""
        raise NotImplementedError


class ArgMax(NaiveRule):
    """The best language of each window as it is."""

    def judge(self, best: str, probability: float) -> str:  # noqa: ARG002 - as it is
        """Return the label."""
        return best


class LockOnFirst(NaiveRule):
    """The first language whose window is sure enough, for ever."""

    def __init__(self, source: str, calibration: Calibration, threshold: float = 0.9) -> None:
        super().__init__(source, calibration)
        self._threshold = threshold
        self._locked: str | None = None

    def judge(self, best: str, probability: float) -> str:
        """Say the locked language; lock one where there is none."""
        if self._locked is None and best != UNCERTAIN and probability >= self._threshold:
            self._locked = best
        return self._locked or UNCERTAIN


class MajorityOfLast(NaiveRule):
    """What most of the last windows say; where none leads, the answer stays."""

    def __init__(self, source: str, calibration: Calibration, windows: int = 5) -> None:
        super().__init__(source, calibration)
        self._last: deque[str] = deque(maxlen=windows)

    def judge(self, best: str, probability: float) -> str:  # noqa: ARG002 - votes are equal
        """Count the votes."""
        self._last.append(best)
        (first, votes), *others = Counter(self._last).most_common()
        if any(count == votes for _, count in others):
            return self._language or best
        return first
