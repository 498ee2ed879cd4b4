"""The MQTT publisher: decisions and health in, messages out, whatever becomes of the broker.

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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from langidd.naming import slug, slugs
from langidd.publish import messages
from langidd.publish.base import DeliveryState
from langidd.publish.mqtt import homeassistant
from langidd.publish.mqtt.announced import Announced
from langidd.publish.mqtt.delivery import Delivery
from langidd.publish.mqtt.inbound import Inbound
from langidd.publish.mqtt.retained import Retained
from langidd.publish.mqtt.topics import Topics
from langidd.publish.outbox import Outbox, Row
from langidd.types import NO_SPEECH, Decision, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from langidd.config import MqttSettings
    from langidd.publish.base import SourceAnnouncement
    from langidd.types import Scores

UPDATE_EVERY_S: Final = 5.0
"""Of capture time, between two states of a source that differ in confidence only."""
UPDATE_FROM: Final = 0.05
"""A confidence that moved less is not worth a message."""
_BIRTH: Final = "homeassistant/status"
"""Where Home Assistant says that it has started, whatever its discovery prefix."""


@dataclass(slots=True)
class _Source:
    """A source as it was last published."""

    slug: str
    decision: Decision
    health: Health
    confidence: float = 0.0
    at: float = 0.0
    offsets: messages.Offsets | None = None
    announcement: SourceAnnouncement | None = None
    options: list[str] = field(default_factory=list)
    config: tuple[str, bytes] = ("", b"")
    """Topic and payload of the device's configuration."""
    configured: bool = True
    """Whether the broker has the configuration with these options."""
    times: messages.RecordingTimes = field(default_factory=messages.RecordingTimes)


class MqttPublisher:
    """Publishes one node over MQTT. Made in the event loop, and called from there only.

    Args:
        settings: The broker's.
        node: The node's name.
        outbox: Where events wait; its owner closes it. None: in memory.
        on_state: Called with one line how the connection is (see `Delivery`).
        temporary: At the end, withdraw all that was announced instead of saying `offline`.

    Attributes:
        topics: The node's.
        outbox: Where events wait.
        windows_dropped: Windows that came while there was no connection.

    Raises:
        ConfigError: The node's name cannot stand in a topic.

    """

    def __init__(
        self,
        settings: MqttSettings,
        node: str,
        outbox: Outbox | None,
        on_state: Callable[[str], None],
        *,
        temporary: bool = False,
    ) -> None:
        self.topics = Topics.of(settings.base, node)
        self.outbox = outbox or Outbox(
            None, rows=settings.outbox_rows, size_bytes=settings.outbox_bytes
        )
        self.windows_dropped = 0
        self._settings = settings
        self._temporary = temporary
        self._births = {f"{settings.discovery_prefix}/status", _BIRTH}
        self._retained = Retained()
        self._announced = Announced(self._retained, self.outbox, clears=settings.retain)
        self._inbound = Inbound(self._births, self.topics.status, self._send_again)
        self._delivery = Delivery(
            settings,
            settings.client_id or client_id(self.topics),
            self.topics.status,
            retained=self._retained,
            outbox=self.outbox,
            announced=self._announced,
            on_state=on_state,
            on_message=self._inbound.message,
            on_settled=self._settled,
            subscriptions=self._subscriptions,
        )
        self._sources: dict[str, _Source] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._retained.put(self.topics.status, messages.ONLINE)
        if settings.discovery:
            self._put_config(
                homeassistant.node_identifier(self.topics),
                homeassistant.node_config(self.topics, node),
            )

    @property
    def delivery(self) -> DeliveryState:
        """How messages go out now."""
        return DeliveryState(
            connected=self._delivery.connected,
            published=self._delivery.published,
            waiting=self.outbox.length,
            dropped=self.outbox.dropped,
            refused=self._delivery.refused,
            durable=self.outbox.durable,
            detail=self._delivery.last_error,
        )

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return self._delivery.reconnects

    # What is published.

    def announce(self, sources: Sequence[SourceAnnouncement]) -> None:
        """Publish which sources there are; those announced before and not now are withdrawn.

        A new source begins `offline` and `zxx`; so does one whose last language is no longer
        among its languages.

        Raises:
            ConfigError: Two names would share a topic, or one cannot stand in it; then
                nothing has changed.

        """
        names = slugs(source.name for source in sources)
        for gone in self._sources.keys() - names.keys():
            self._announced.withdraw(self._topics_of(self._sources.pop(gone).slug))
        for announcement in sources:
            source = self._source(announcement.name)
            source.announcement = announcement
            if announcement.languages and source.decision.language not in homeassistant.options(
                announcement
            ):
                source.decision = _nothing_yet(announcement.name)
                source.offsets = None
                self._put_state(source)
            if self._settings.discovery:
                self._configure(source, announcement)
            self._put_language(source)
        self._announced.complete = True
        self._start(self._announced.remember())

    def decision(self, decision: Decision) -> None:
        """Publish what changed: language and state retained, changes and pauses as events."""
        source = self._source(decision.source)
        # A clock that was set back must not silence a source until the old time comes again.
        due = abs(decision.decided_at - source.at) >= UPDATE_EVERY_S
        moved = abs(decision.confidence - source.confidence) >= UPDATE_FROM
        worth_it = decision.reason != "update" or (moved and due)
        if worth_it:
            source.confidence, source.at = decision.confidence, decision.decided_at
        source.offsets = None
        if source.announcement is not None and source.announcement.recording:
            decision, source.offsets = source.times.place(decision, time.time())
        source.decision = decision
        self._put_language(source)
        if worth_it:
            self._put_state(source)
        if decision.reason != "update":
            identifier = messages.event_identifier(time.time(), secrets.randbits(74))
            payload = messages.event(
                self.topics.node,
                decision,
                identifier,
                self.outbox.take_sequence(),
                source.offsets,
            )
            topic = self.topics.of_source(source.slug, "event")
            self.outbox.append(Row(identifier, topic, payload))

    def scores(self, scores: Scores) -> None:
        """Publish the model's probabilities of a window, where windows were asked for."""
        if not self._settings.windows:
            return
        source = self._source(scores.span.source)
        recording = source.announcement is not None and source.announcement.recording
        payload = messages.window(
            self.topics.node,
            scores.span,
            scores.probabilities,
            read_at=time.time() if recording else None,
        )
        if not self._delivery.send(self.topics.of_source(source.slug, "window"), payload):
            self.windows_dropped += 1

    def health(self, health: Health) -> None:
        """Publish whether a source is there: `online` only while real audio arrives."""
        source = self._source(health.source)
        source.health = health
        self._put_availability(source)
        self._put_state(source)

    def _source(self, name: str) -> _Source:
        source = self._sources.get(name)
        if source is None:
            # What an earlier run left on the broker is no longer true.
            nothing = _nothing_yet(name)
            source = self._sources[name] = _Source(
                slug(name), nothing, Health(name, "connecting", nothing.since)
            )
            self._put_availability(source)
            self._put_language(source)
            self._put_state(source)
        return source

    def _configure(self, source: _Source, announcement: SourceAnnouncement) -> None:
        """Announce a source's device; its language is `zxx` until the broker has the options.

        Home Assistant refuses a language that is none of the options it has, be they the old
        ones or the new; `zxx` is always one.
        """
        options = homeassistant.options(announcement) if announcement.languages else []
        if options != source.options:
            source.options, source.configured = options, False
            self._put_language(source)
        config = homeassistant.source_config(self.topics, source.slug, announcement)
        identifier = homeassistant.source_identifier(self.topics, source.slug)
        source.config = (self._put_config(identifier, config), config)

    def _settled(self, topic: str, payload: bytes) -> None:
        for source in self._sources.values() if homeassistant.is_config(topic) else ():
            if source.config == (topic, payload) and not source.configured:
                source.configured = True
                self._put_language(source)

    def _put_language(self, source: _Source) -> None:
        topic = self.topics.of_source(source.slug, "language")
        language = messages.language(source.decision)
        self._retained.put(topic, language if source.configured else NO_SPEECH.encode())

    def _put_state(self, source: _Source) -> None:
        self._retained.put(
            self.topics.of_source(source.slug, "state"),
            messages.state(self.topics.node, source.decision, source.health, source.offsets),
        )

    def _put_availability(self, source: _Source) -> None:
        online = source.health.state == "live" and not self._delivery.closing
        self._retained.put(
            self.topics.of_source(source.slug, "availability"), messages.availability(online=online)
        )

    def _put_config(self, identifier: str, config: bytes) -> str:
        topic = homeassistant.config_topic(self._settings.discovery_prefix, identifier)
        self._retained.put(topic, config)
        return topic

    def _topics_of(self, source: str) -> list[str]:
        identifier = homeassistant.source_identifier(self.topics, source)
        config = homeassistant.config_topic(self._settings.discovery_prefix, identifier)
        leaves = ("availability", "language", "state")
        return [config, *(self.topics.of_source(source, leaf) for leaf in leaves)]

    def _subscriptions(self) -> list[str]:
        wanted = self._settings.discovery or self._announced.awaits_birth
        return [self.topics.status, *(sorted(self._births) if wanted else ())]

    def _send_again(self, *topics: str) -> None:
        if not topics:
            self._announced.home_assistant_started()
        self._retained.put_again(*topics)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Deliver until `close`. If cancelled, the broker sends the Last Will."""
        await self._delivery.run()

    async def close(self) -> None:
        """Send what waits, say `offline` and leave: within 2 s, then the connection is cut.

        Events that were not sent stay in the outbox.
        """
        self._delivery.begin_closing()
        self._inbound.close()
        if self._temporary:
            self._announced.withdraw(self._retained.topics - {self.topics.status})
            self._delivery.farewell = b""
        else:
            for source in self._sources.values():
                self._put_availability(source)
        await self._delivery.close()


def client_id(topics: Topics) -> str:
    """Return the client id of a node that has none in its settings."""
    return f"langidd-{topics.node}"


def _nothing_yet(source: str) -> Decision:
    now = time.time()
    return Decision(source, NO_SPEECH, 0.0, "update", since=now, decided_at=now)
