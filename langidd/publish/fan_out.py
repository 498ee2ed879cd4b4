"""One publisher that passes everything on to several."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from langidd.publish.base import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd.publish.base import Publisher, SourceAnnouncement
    from langidd.types import Decision, Health, Scores

_log = logging.getLogger(__name__)


class FanOut:
    """Passes everything on to each publisher; what one of them raises harms no other.

    It is a `Publisher` itself. Publishers are in `publishers`.
    """

    def __init__(self, publishers: Sequence[Publisher]) -> None:
        self.publishers = tuple(publishers)
        self._failing: set[tuple[str, str]] = set()

    @property
    def delivery(self) -> DeliveryState:
        """The sums over all publishers; durable where every one of them is."""
        states = [publisher.delivery for publisher in self.publishers]
        return DeliveryState(
            connected=all(state.connected for state in states),
            published=sum(state.published for state in states),
            waiting=sum(state.waiting for state in states),
            dropped=sum(state.dropped for state in states),
            refused=sum(state.refused for state in states),
            durable=all(state.durable for state in states),
            detail="; ".join(state.detail for state in states if state.detail),
        )

    def announce(self, sources: Sequence[SourceAnnouncement]) -> None:
        """Announce the sources everywhere.

        Raises:
            ConfigError: A name cannot be published.

        """
        for publisher in self.publishers:
            publisher.announce(sources)

    def decision(self, decision: Decision) -> None:
        """Publish a decision everywhere."""
        self._each("decision", lambda publisher: publisher.decision(decision))

    def scores(self, scores: Scores) -> None:
        """Publish a window's probabilities everywhere."""
        self._each("scores", lambda publisher: publisher.scores(scores))

    def health(self, health: Health) -> None:
        """Publish a source's health everywhere."""
        self._each("health", lambda publisher: publisher.health(health))

    def _each(self, what: str, call: Callable[[Publisher], None]) -> None:
        for publisher in self.publishers:
            failure = (type(publisher).__name__, what)
            try:
                call(publisher)
            except Exception:  # noqa: BLE001 - one publisher's fault must not reach the others
                if failure not in self._failing:
                    self._failing.add(failure)
                    _log.exception("%s could not take a %s; the others have it", *failure)
            else:
                self._failing.discard(failure)

    async def run(self) -> None:
        """Run all of them until `close`; the error of one ends them all and is raised."""
        async with asyncio.TaskGroup() as group:
            for publisher in self.publishers:
                group.create_task(publisher.run())

    async def close(self) -> None:
        """Close all of them, side by side."""
        outcomes = await asyncio.gather(
            *(publisher.close() for publisher in self.publishers), return_exceptions=True
        )
        for publisher, outcome in zip(self.publishers, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                _log.error("%s did not close: %r", type(publisher).__name__, outcome)
