"""What every way out promises: the protocol of publishers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd.types import Decision, Health, Scores

    Gauge = Callable[[str, str, Callable[[], float]], None]
    """Takes a number for the metrics: its name, its description, and a way to read it."""


@dataclass(frozen=True, slots=True)
class SourceAnnouncement:
    """A source that will be published.

    Attributes:
        name: As people wrote it.
        languages: What its decider chooses among, without `und` and `zxx`; empty where that
            is not known.
        kind: One word for people: `microphone`, `rtsp`, `file`.
        recording: A file read at full speed: its times are seconds from its beginning.

    """

    name: str
    languages: tuple[str, ...] = ()
    kind: str = ""
    recording: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How what is published goes out at a moment.

    Attributes:
        connected: Whether it is being delivered.
        published: Messages that were taken since the start.
        waiting: Events that were not acknowledged yet.
        dropped: Events that were given up.
        refused: Messages that were refused.
        durable: Whether waiting events outlive the process.
        detail: Why there is no connection, or what was refused last; empty: nothing.

    """

    connected: bool
    published: int
    waiting: int
    dropped: int
    refused: int
    durable: bool
    detail: str


class Publisher(Protocol):
    """A way out for decisions: MQTT, a webhook, a file.

    `announce`, `decision`, `scores` and `health` are called in the event loop, return at once
    and raise nothing but ConfigError; delivery is the publisher's own affair.
    """

    @property
    def delivery(self) -> DeliveryState:
        """How what is published goes out now."""
        ...

    def announce(self, sources: Sequence[SourceAnnouncement]) -> None:
        """Take the sources that there are; those announced before and not now are withdrawn.

        Raises:
            ConfigError: A name cannot be published; then nothing has changed.

        """
        ...

    def decision(self, decision: Decision) -> None:
        """Publish a decision."""
        ...

    def scores(self, scores: Scores) -> None:
        """Publish the model's probabilities of one window, where windows were asked for."""
        ...

    def health(self, health: Health) -> None:
        """Publish how a source is."""
        ...

    async def run(self) -> None:
        """Deliver until `close` is called."""
        ...

    async def close(self) -> None:
        """Deliver what waits, within seconds, and end."""
        ...
