"""The publisher: decisions and health in, MQTT out, for ever, whatever becomes of the broker.

Three kinds of message, three promises:

- retained (language, state, availability, status, discovery): the broker gets the newest,
  and all of them again after every reconnect;
- events: through the outbox, in order, each until the broker has acknowledged it;
- windows: QoS 0, sent while there is a connection and forgotten where there is none.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from langidd.publish import messages
from langidd.publish.mqtt import homeassistant
from langidd.publish.mqtt.link import Link
from langidd.publish.mqtt.retained import Retained
from langidd.publish.mqtt.topics import Topics, slug, slugs
from langidd.publish.outbox import Outbox, Row
from langidd.types import NO_SPEECH, Decision, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from langidd.config import MqttSettings
    from langidd.publish.messages import SourceAnnouncement
    from langidd.types import Scores

UPDATE_EVERY_S: Final = 5.0
"""Of capture time, between two states of a source that differ in confidence only."""
UPDATE_FROM: Final = 0.05
"""A confidence that moved less is not worth a message."""


@dataclass(slots=True)
class _Said:
    """A source as it was last published."""

    slug: str
    decision: Decision
    health: Health
    confidence: float
    at: float


class Publisher:
    """Publishes one node. Made in the event loop, and called from there only.

    `announce`, `decision`, `window`, `health` and `retract` return at once; `run` connects,
    sends and reconnects until `close`. `on_state` hears in one line how the connection is:
    `connecting`, `connected`, `waiting: why`, `refused: why`, `closed`. Raises ConfigError
    for a node whose name cannot stand in a topic.
    """

    def __init__(
        self,
        settings: MqttSettings,
        node: str,
        outbox: Outbox | None,
        on_state: Callable[[str], None],
    ) -> None:
        self.topics = Topics.of(settings.base, node)
        self.outbox = outbox or Outbox(
            None, rows=settings.outbox_rows, size_bytes=settings.outbox_bytes
        )
        self.windows_dropped = 0
        """Windows that came while there was no connection."""
        self._retained = Retained()
        self._link = Link(settings, self.topics, self._retained, self.outbox, on_state)
        self._settings = settings
        self._sources: dict[str, _Said] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        if settings.discovery:
            self._put_config(
                homeassistant.node_identifier(self.topics),
                homeassistant.node_config(self.topics, node),
            )

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and is there."""
        return self._link.connected

    @property
    def published(self) -> int:
        """Messages that the broker acknowledged, and windows sent."""
        return self._link.published

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return self._link.reconnects

    @property
    def refused(self) -> int:
        """Messages that the broker would not have."""
        return self._link.refused

    @property
    def inbound_ignored(self) -> int:
        """Messages to us that meant nothing."""
        return self._link.inbound_ignored

    @property
    def last_error(self) -> str:
        """Why there is, or last was, no connection, or what was refused; empty: nothing yet."""
        return self._link.last_error

    @property
    def outbox_length(self) -> int:
        """Events that wait for the broker."""
        return self.outbox.length

    @property
    def outbox_dropped(self) -> int:
        """Events that were given up because the outbox was full."""
        return self.outbox.dropped

    # What is to be said.

    def announce(self, sources: Sequence[SourceAnnouncement]) -> None:
        """Say which sources there are; those announced before and not now are retracted.

        A new source begins `offline` and `zxx`. Raises ConfigError where two names would
        share a topic or one cannot stand in it; then nothing has changed.
        """
        named = slugs(source.name for source in sources)
        for gone in self._sources.keys() - named.keys():
            self.retract(gone)
        for source in sources:
            said = self._said(source.name)
            if self._settings.discovery:
                self._put_config(
                    homeassistant.source_identifier(self.topics, said.slug),
                    homeassistant.source_config(self.topics, said.slug, source),
                )
        self._start(self._remember(set(named.values())))

    def decision(self, decision: Decision) -> None:
        """Publish what changed: language and state retained, changes and pauses as events."""
        said = self._said(decision.source)
        said.decision = decision
        self._retained.put(
            self.topics.of_source(said.slug, "language"), messages.language(decision)
        )
        moved = abs(decision.confidence - said.confidence) >= UPDATE_FROM
        # A clock set back must not silence a source until the old time comes again.
        rested = abs(decision.decided_at - said.at) >= UPDATE_EVERY_S
        if decision.reason != "update" or (moved and rested):
            self._put_state(said)
        if decision.reason != "update":
            number = self.outbox.take_sequence()
            identifier = messages.event_identifier(time.time(), secrets.randbits(74))
            self.outbox.append(
                Row(
                    number,
                    self.topics.of_source(said.slug, "event"),
                    messages.event(self.topics.node, decision, identifier, number),
                )
            )

    def window(self, scores: Scores, probabilities: Mapping[str, float]) -> None:
        """Publish what the classifier said of a window, where windows were asked for."""
        if not self._settings.windows:
            return
        topic = self.topics.of_source(self._said(scores.span.source).slug, "window")
        if not self._link.send(
            topic, messages.window(self.topics.node, scores.span, probabilities)
        ):
            self.windows_dropped += 1

    def health(self, health: Health) -> None:
        """Publish whether a source is there: `online` only while real audio arrives."""
        said = self._said(health.source)
        said.health = health
        self._put_availability(said)
        self._put_state(said)

    def retract(self, source: str) -> None:
        """Take a source off the broker and out of Home Assistant."""
        said = self._sources.pop(source, None)
        self._retract_slug(said.slug if said else slug(source))
        self._start(self._remember({each.slug for each in self._sources.values()}))

    def _retract_slug(self, name: str) -> None:
        if self._settings.discovery:
            self._put_config(homeassistant.source_identifier(self.topics, name), b"")
        for leaf in ("availability", "language", "state"):
            self._retained.put(self.topics.of_source(name, leaf), b"")

    async def _remember(self, present: set[str]) -> None:
        """Retract what an earlier run announced and this one does not have."""
        before = await self.outbox.replace_announced(present)
        for gone in before - {each.slug for each in self._sources.values()}:
            self._retract_slug(gone)

    def _said(self, source: str) -> _Said:
        said = self._sources.get(source)
        if said is None:
            now = time.time()
            # What an earlier run left on the broker is no longer true.
            said = self._sources[source] = _Said(
                slug(source),
                Decision(source, NO_SPEECH, 0.0, "update", since=now, decided_at=now),
                Health(source, "connecting", now),
                confidence=0.0,
                at=0.0,
            )
            self._put_availability(said)
            self._retained.put(
                self.topics.of_source(said.slug, "language"), messages.language(said.decision)
            )
            self._put_state(said)
        return said

    def _put_state(self, said: _Said) -> None:
        said.confidence, said.at = said.decision.confidence, said.decision.decided_at
        self._retained.put(
            self.topics.of_source(said.slug, "state"),
            messages.state(self.topics.node, said.decision, said.health),
        )

    def _put_availability(self, said: _Said) -> None:
        online = said.health.state == "live" and not self._link.closing
        self._retained.put(
            self.topics.of_source(said.slug, "availability"), messages.availability(online=online)
        )

    def _put_config(self, identifier: str, config: bytes) -> None:
        topic = homeassistant.config_topic(self._settings.discovery_prefix, identifier)
        self._retained.put(topic, config)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Connect, send, reconnect, until `close`. Cancelled, it leaves the Last Will to speak."""
        await self._link.run()

    async def close(self) -> None:
        """Send what waits, say `offline` and leave: within 2 s, then the connection is cut.

        Events that were not sent stay in the outbox, which is its owner's to close.
        """
        self._link.begin_closing()
        for said in self._sources.values():
            self._put_availability(said)
        await self._link.close()
