"""What the sources and the model give, passed on: counted, logged, published, shown."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from langidd.service.scoring import OncePerMinute, ScoringMonitor
from langidd.types import NO_SPEECH, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd.observability.metrics import Metrics
    from langidd.publish.base import Publisher
    from langidd.service.pool import SourcePool
    from langidd.types import Chunk, Decision, DroppedWindow, Health, Scores

log = logging.getLogger(__name__)


class Results:
    """Takes every result in the event loop; everything returns at once.

    Args:
        metrics: where all is counted.
        pool: the sources, which remember their last audio, health and decision.
        on_decision: called with each decision.
        on_scores: called with each scored window's scores.
        on_health: called with each change of a source's health.

    Attributes:
        publisher: set once there is one.
        scoring: how the model does.

    """

    def __init__(
        self,
        metrics: Metrics,
        pool: SourcePool,
        on_decision: Callable[[Decision], None] | None,
        on_scores: Callable[[Scores], None] | None,
        on_health: Callable[[Health], None] | None,
    ) -> None:
        self.publisher: Publisher | None = None
        self.scoring = ScoringMonitor()
        self._metrics = metrics
        self._pool = pool
        self._on_decision = on_decision
        self._on_scores = on_scores
        self._on_health = on_health
        self._trouble = ""
        self._failures = OncePerMinute()
        self._drops = OncePerMinute()

    def audio(self, source: str, chunk: Chunk) -> None:
        """Take note of a chunk that arrived."""
        self._metrics.audio(source, chunk)
        entry = self._pool.entries.get(source)
        if entry is not None:
            entry.audio_arrived(time.monotonic())

    def scores(self, scores: Scores) -> None:
        """Pass on what the model says of a window."""
        self._metrics.scored(scores.span.source)
        self.scoring.scored(time.monotonic())
        if self.publisher is not None:
            self.publisher.scores(scores)
        if self._on_scores is not None:
            self._on_scores(scores)

    def unscored(self, window: DroppedWindow) -> None:
        """Count a window that was not scored, and log it once a minute for each source."""
        source, now = window.span.source, time.monotonic()
        if window.reason == "failed":
            self._metrics.failed(source)
            self.scoring.failed(now)
            if count := self._failures.due(source, now):
                log.error(
                    "source %s: the model failed on %d window(s) within the last minute; they are "
                    "left out, and the source's language stays as it was",
                    source,
                    count,
                )
        else:
            self._metrics.dropped(source)
            self.scoring.dropped(now)
            if count := self._drops.due(source, now):
                log.warning(
                    "source %s: the model is too slow; %d window(s) were dropped for newer ones "
                    "within the last minute",
                    source,
                    count,
                )

    def decision(self, decision: Decision, *, live: bool) -> None:
        """Pass on a decision; `live`: of audio that was captured just now."""
        decision = not_in_the_future(decision, time.time())
        self._metrics.decision(decision, time.time() - decision.decided_at if live else None)
        entry = self._pool.entries.get(decision.source)
        if entry is not None:
            entry.decision = decision
        if decision.reason == "change":
            log.info(
                "source %s: %s%s, was %s",
                decision.source,
                decision.language,
                ""
                if decision.language in {UNCERTAIN, NO_SPEECH}
                else f" ({decision.confidence:.0%})",
                decision.previous or "nothing yet",
            )
        if self.publisher is not None:
            self.publisher.decision(decision)
        if self._on_decision is not None:
            self._on_decision(decision)

    def health(self, health: Health) -> None:
        """Pass on how a source is."""
        entry = self._pool.entries.get(health.source)
        if entry is not None:
            entry.health = health
        self._metrics.health(health)
        self._tell(health)

    def examine(self, oldest_wait_s: float) -> str:
        """Return in one line why windows are not scored; empty: they are.

        Where that has begun, sources that give audio are said to be stalled, since nothing
        is decided about them any more; where it has ended, they are live again.
        """
        trouble = self.scoring.trouble(oldest_wait_s, time.monotonic())
        if bool(trouble) != bool(self._trouble):
            if trouble:
                log.error("%s; all sources count as stalled until one is scored", trouble)
            else:
                log.info("windows are scored again")
            self._trouble = trouble
            for entry in self._pool.running():
                if entry.health is not None:
                    self._tell(entry.health)
        return trouble

    def forget(self, source: str) -> None:
        """Drop what is kept of a source that was removed."""
        self._metrics.forget(source)
        self._failures.forget(source)
        self._drops.forget(source)

    def _tell(self, health: Health) -> None:
        if self._trouble and health.state == "live":
            health = replace(health, state="stalled", detail=self._trouble)
        if self.publisher is not None:
            self.publisher.health(health)
        if self._on_health is not None:
            self._on_health(health)


def not_in_the_future(decision: Decision, now: float) -> Decision:
    """Move a decision's dates so that none is after `now`.

    Where the clock was set back while a window waited for the model, or a camera's burst of
    old sound is dated ahead, it is the dates that are wrong.
    """
    ahead_s = decision.decided_at - now
    if ahead_s <= 0.0:
        return decision
    return replace(decision, since=decision.since - ahead_s, decided_at=now)
