"""The link to the broker: connected for ever, emptying the outbox and what is retained into it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import aiomqtt

from langidd.errors import LangiddError
from langidd.publish import messages
from langidd.publish.mqtt.backoff import BackOff, spread
from langidd.publish.mqtt.connection import Connection
from langidd.publish.mqtt.delivery import Delivery
from langidd.publish.mqtt.refusals import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from langidd.config import MqttSettings
    from langidd.publish.mqtt.retained import Retained
    from langidd.publish.mqtt.topics import Topics
    from langidd.publish.outbox import Outbox

_log = logging.getLogger(__name__)

REFUSED_S: Final = 60.0
"""Until the next attempt where the broker refuses us: only a person can change that."""
HEALTHY_S: Final = 10.0
"""A connection that held this long makes the next back-off begin anew."""
DRAIN_S: Final = 1.5
"""For what still waits when the service stops, the goodbye included."""
REPEAT_S: Final = 5.0
"""Between two answers to messages that make us send something again."""
_SUBSCRIPTION_FAILED: Final = 0x80


class Link:
    """Keeps one connection to the broker and sends what `retained` and `outbox` hold.

    `on_state` hears how it is: `connecting`, `connected`, `waiting: why`, `refused: why`,
    `closed`.
    """

    def __init__(
        self,
        settings: MqttSettings,
        topics: Topics,
        retained: Retained,
        outbox: Outbox,
        on_state: Callable[[str], None],
    ) -> None:
        self.connected = False
        self.reconnects = 0
        self.inbound_ignored = 0
        self.windows_sent = 0
        self._settings = settings
        self._topics = topics
        self._birth_topic = f"{settings.discovery_prefix}/status"
        self._retained = retained
        self._outbox = outbox
        self._delivery = Delivery(retained, outbox)
        self._last_error = ""
        self._on_state = on_state
        self._connection: Connection | None = None
        self._connected_at = 0.0
        self._connections = 0
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._complained = ""
        self._repeats: dict[tuple[str, ...], asyncio.TimerHandle] = {}
        self._repeated_at: dict[tuple[str, ...], float] = {}

    @property
    def published(self) -> int:
        """Messages that the broker acknowledged, and those sent with QoS 0."""
        return self._delivery.published + self.windows_sent

    @property
    def refused(self) -> int:
        """Messages that the broker would not have."""
        return self._delivery.refused

    @property
    def last_error(self) -> str:
        """Why there was no connection last, or what was refused where there is one."""
        if self.connected and self._delivery.last_refusal:
            return self._delivery.last_refusal
        return self._last_error

    @property
    def closing(self) -> bool:
        """Whether the end has begun."""
        return self._closing.is_set()

    def send(self, topic: str, payload: bytes) -> bool:
        """Send with QoS 0; return whether there was a connection to send it over."""
        if self._connection is None:
            return False
        try:
            self._connection.send(topic, payload)
        except aiomqtt.MqttError:
            return False
        self.windows_sent += 1
        return True

    async def run(self) -> None:
        """Connect, send and reconnect until `close`; cancelled, the Last Will is left to speak."""
        back_off = BackOff()
        self._ended.clear()
        try:
            while not self.closing:
                refused = False
                try:
                    await self._connect_and_serve()
                except Exception as error:  # noqa: BLE001 - no broker may end this; it is said
                    refused = self._complain(error)
                healthy = self.connected and time.monotonic() - self._connected_at >= HEALTHY_S
                self.connected = False
                if healthy:
                    back_off.reset()
                if not self.closing:
                    await self._rest(spread(REFUSED_S) if refused else back_off.next_s())
        finally:
            self.connected = False
            self._ended.set()
            self._on_state("closed")

    def begin_closing(self) -> None:
        """Do not connect any more, and say goodbye where there is a connection."""
        self._closing.set()
        for timer in self._repeats.values():
            timer.cancel()

    async def close(self) -> None:
        """Return when the goodbye is said: within 2 s, then the connection is cut."""
        self.begin_closing()
        try:
            async with asyncio.timeout(DRAIN_S + 0.4):
                await self._ended.wait()
        except TimeoutError:
            if self._connection is not None:
                self._connection.abandon()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _connect_and_serve(self) -> None:
        self._on_state("connecting")
        opening = Connection.to(
            self._settings,
            client_id=self._settings.client_id or f"langidd-{self._topics.node}",
            will=aiomqtt.Will(self._topics.status, messages.OFFLINE, qos=1, retain=True),
        )
        connection = await _first(opening, self._closing.wait())
        if not isinstance(connection, Connection):
            return
        self._connection = connection
        try:
            self._connected()
            await _first(
                self._say_goodbye(connection), self._listen(connection), self._speak(connection)
            )
            await connection.leave()
        finally:
            self._connection = None
            connection.abandon()

    def _connected(self) -> None:
        self.connected = True
        self._connected_at = time.monotonic()
        self.reconnects = self._connections
        self._connections += 1
        self._complained = ""
        self._delivery.begin()
        settings = self._settings
        _log.info(
            "connected to broker %s:%d (MQTT %s%s); %d events waited",
            settings.host,
            settings.port_number,
            settings.protocol,
            ", TLS" if settings.tls.enabled else "",
            self._outbox.length,
        )
        self._on_state("connected")

    def _complain(self, error: Exception) -> bool:
        """Say why there is no connection, once a reason; return whether we are refused."""
        if self.closing:
            _log.warning("the broker did not take our goodbye; it will send the Last Will")
            return False
        why = failure(error, self._settings)
        self._last_error = why.text
        self._on_state(f"{'refused' if why.refused else 'waiting'}: {why.text}")
        level = logging.DEBUG
        if why.text != self._complained:
            level = logging.ERROR if why.refused else logging.WARNING
        self._complained = why.text
        known = isinstance(error, (aiomqtt.MqttError, OSError, ValueError, LangiddError))
        _log.log(level, "%s; trying again", why.text, exc_info=None if known else error)
        return why.refused

    # Speaking.

    async def _speak(self, connection: Connection) -> None:
        await self._subscribe(connection)
        self._retained.put(self._topics.status, messages.ONLINE)
        # Whatever the broker was told, it may have forgotten; status last, when all is there.
        self._retained.put_again()
        self._retained.put_again(self._topics.status)
        await _first(
            self._delivery.send_retained(connection), self._delivery.send_events(connection)
        )

    async def _say_goodbye(self, connection: Connection) -> None:
        """When the end begins, send what waits while there is time, then `offline`.

        What is on its way then is waited for, so that it need not be sent a second time.
        """
        await self._closing.wait()
        async with asyncio.timeout(DRAIN_S):
            await self._delivery.drain_retained(connection)
            try:
                async with asyncio.timeout(DRAIN_S / 2):
                    await self._delivery.drain_events(connection)
            except TimeoutError:
                _log.info("%d events wait for the next start", self._outbox.length)
            await connection.deliver(self._topics.status, messages.OFFLINE, retain=True)

    # Listening.

    async def _subscribe(self, connection: Connection) -> None:
        topics = [self._topics.status]
        if self._settings.discovery:
            topics.append(self._birth_topic)
        for topic in topics:
            granted = await connection.subscribe(topic, qos=0)
            if any(getattr(code, "value", code) >= _SUBSCRIPTION_FAILED for code in granted):
                _log.warning("the broker does not let us listen to %s", topic)

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.messages:
            self.hear(str(message.topic), message.payload, retained=message.retain)

    def hear(self, topic: str, payload: object, *, retained: bool) -> None:
        """Take a message to us: anything at all, from anybody who may write to these topics.

        Home Assistant's birth makes us send all again. `offline` at our own status while we
        are here is the Last Will of a connection that died before this one, or a stranger's
        doing; either way it is not true.
        """
        if self.closing or retained:
            return
        if topic == self._birth_topic and payload == messages.ONLINE:
            self._repeat()
        elif topic == self._topics.status and payload == messages.OFFLINE:
            self._repeat(self._topics.status)
        elif topic != self._topics.status or payload != messages.ONLINE:
            self.inbound_ignored += 1

    def _repeat(self, *topics: str) -> None:
        """Send these again, or all: at once, but not every few milliseconds."""
        if topics in self._repeats:
            return
        loop = asyncio.get_running_loop()
        earliest = self._repeated_at.get(topics, loop.time() - REPEAT_S) + REPEAT_S

        def now() -> None:
            del self._repeats[topics]
            self._repeated_at[topics] = loop.time()
            self._retained.put_again(*topics)

        self._repeats[topics] = loop.call_at(max(earliest, loop.time()), now)


async def _first(*works: Coroutine[Any, Any, Any]) -> Any:
    """Run all until one ends; end the others, and return its result or raise its error.

    Where a connection was opened in the very moment in which something else ended or this
    was cancelled, it is abandoned: nobody else knows of it.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    ended: Any = None
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = next(task for task in tasks if task.done())
        return ended.result()
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for task, outcome in zip(tasks, outcomes, strict=True):
            if task is not ended and isinstance(outcome, Connection):
                outcome.abandon()
