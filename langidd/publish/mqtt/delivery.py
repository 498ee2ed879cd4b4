"""Delivery: one connection to the broker at a time, and two queues that empty into it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import aiomqtt

from langidd.errors import LangiddError
from langidd.naming import host_and_port
from langidd.publish import messages
from langidd.publish.mqtt.connection import IN_FLIGHT, Connection, RefusedError
from langidd.publish.mqtt.refusals import failure, losses
from langidd.retry import Backoff, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from langidd.config import MqttSettings
    from langidd.publish.mqtt.announced import Announced
    from langidd.publish.mqtt.retained import Retained
    from langidd.publish.outbox import Outbox

_log = logging.getLogger(__name__)

RETRY: RetryPolicy = RetryPolicy(first_s=1.0, longest_s=60.0)
"""The waits between connections, and after a message was refused."""
HEALTHY_S: Final = 10.0
"""A connection that held this long makes the next waits short again."""
DRAIN_S: Final = 1.5
"""For what still waits when the service stops, `offline` included."""
EVENTS_AT_ONCE: Final = 100
"""Events that leave before any of them is deleted: one write to the disk for all of them."""
_NEVER_ACCEPTED: Final = frozenset({144, 149, 153})
"""Reason codes of MQTT 5 that the same message will always get: topic name invalid, packet
too large, payload format invalid."""


class Delivery:
    """Connects, sends what `retained` and `outbox` hold, and connects again, until `close`.

    Args:
        settings: The broker's.
        client_id: Of the connection.
        status: The topic that says whether the service is connected; also the Last Will's.
        retained: The newest payload of each retained topic.
        outbox: Events, in order.
        announced: Learns what the broker has cleared.
        on_state: Called with one line: `connecting`, `connected`, `waiting: why`,
            `refused: why`, `closed`.
        on_message: Called with each message from the broker.
        on_settled: Called with each retained message that was acknowledged or refused.
        subscriptions: Returns the topics to subscribe to.

    Attributes:
        connected: Whether the broker has accepted the connection.
        reconnects: Connections after the first.
        published: Messages that the broker acknowledged, and those sent with QoS 0.
        refused: Messages that the broker refused.
        farewell: The last payload at `status`; empty to clear the topic.

    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        status: str,
        *,
        retained: Retained,
        outbox: Outbox,
        announced: Announced,
        on_state: Callable[[str], None],
        on_message: Callable[[aiomqtt.Message], None],
        on_settled: Callable[[str, bytes], None],
        subscriptions: Callable[[], Iterable[str]],
    ) -> None:
        self.connected = False
        self.reconnects = 0
        self.published = self.refused = 0
        self.farewell = messages.OFFLINE
        self._settings = settings
        self._client_id = client_id
        self._status = status
        self._retained = retained
        self._outbox = outbox
        self._on_state = on_state
        self._on_message = on_message
        self._announced = announced
        self._on_settled = on_settled
        self._subscriptions = subscriptions
        self._connection: Connection | None = None
        self._connections = 0
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._last_error = ""
        self._last_refusal = ""
        self._logged: set[str] = set()  # refusals, since the connection began
        self._logged_failure = ""
        self._sending_retained = asyncio.Lock()
        self._sending_events = asyncio.Lock()

    @property
    def last_error(self) -> str:
        """Why there was no connection last, or what was refused where there is one."""
        return self._last_refusal if self.connected and self._last_refusal else self._last_error

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
        self.published += 1
        return True

    async def run(self) -> None:
        """Deliver until `close`. If cancelled, the broker sends the Last Will."""
        backoff = Backoff(RETRY)
        self._ended.clear()
        try:
            while not self.closing:
                refused, began = False, time.monotonic()
                try:
                    await self._connect_and_serve()
                except Exception as error:  # noqa: BLE001 - no broker may end this; it is logged
                    refused = self._failed(error)
                if self.connected and time.monotonic() - began >= HEALTHY_S:
                    backoff.reset()
                self.connected = False
                wait_s = backoff.longest_s() if refused else backoff.next_s()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), wait_s)
        finally:
            self.connected = False
            self._ended.set()
            self._on_state("closed")

    def begin_closing(self) -> None:
        """Connect no more, and send what waits where there is a connection."""
        self._closing.set()

    async def close(self) -> None:
        """Return when the connection is closed: within 2 s, then it is cut."""
        self.begin_closing()
        try:
            async with asyncio.timeout(DRAIN_S + 0.4):
                await self._ended.wait()
        except TimeoutError:
            if self._connection is not None:
                self._connection.abandon()

    async def _connect_and_serve(self) -> None:
        self._on_state("connecting")
        settings = self._settings
        will = aiomqtt.Will(
            self._status, messages.OFFLINE, qos=settings.qos, retain=settings.retain
        )
        connection = await _first(
            Connection.open(
                settings, client_id=self._client_id, will=will, on_message=self._on_message
            ),
            self._closing.wait(),
        )
        if not isinstance(connection, Connection):
            return
        self._connection = connection
        try:
            self._accepted()
            await _first(self._end(connection), connection.until_lost(), self._send(connection))
            await connection.leave()
        finally:
            self._connection = None
            connection.abandon()

    def _accepted(self) -> None:
        self.connected = True
        self.reconnects = self._connections
        self._connections += 1
        self._logged_failure = self._last_refusal = ""
        self._logged.clear()
        settings = self._settings
        _log.info(
            "connected to broker %s (MQTT %s%s); %d events waited",
            host_and_port(settings.host or "", settings.port_number),
            settings.protocol,
            ", TLS" if settings.tls.enabled else "",
            self._outbox.length,
        )
        if not self.reconnects:
            for loss in losses(settings):
                _log.warning("%s", loss)
        self._on_state("connected")

    def _failed(self, error: Exception) -> bool:
        """Log why there is no connection, once a reason; return whether it was refused."""
        if self.closing:
            _log.warning("the broker did not take the last messages; it will send the Last Will")
            return False
        why = failure(error, self._settings)
        self._last_error = why.text
        self._on_state(f"{'refused' if why.refused else 'waiting'}: {why.text}")
        level = logging.DEBUG
        if why.text != self._logged_failure:
            level = logging.ERROR if why.refused else logging.WARNING
        self._logged_failure = why.text
        known = isinstance(error, (aiomqtt.MqttError, OSError, ValueError, LangiddError))
        _log.log(level, "%s; trying again", why.text, exc_info=None if known else error)
        return why.refused

    async def _send(self, connection: Connection) -> None:
        await self._announced.remember()
        for topic in self._subscriptions():
            if not await connection.subscribe(topic):
                _log.warning("the broker does not allow a subscription to %s", topic)
        # Whatever the broker was told, it may have forgotten; status last, when all is there.
        self._retained.put_again()
        self._retained.put_again(self._status)
        await _first(self._send_retained(connection), self._send_events(connection))

    async def _end(self, connection: Connection) -> None:
        """When the end begins, send what waits while there is time, then the last status."""
        await self._closing.wait()
        async with asyncio.timeout(DRAIN_S):
            while self._retained.waiting.is_set():
                await self._send_some_retained(connection)
            try:
                async with asyncio.timeout(DRAIN_S / 2):
                    while await self._send_some_events(connection) == "sent":
                        continue
            except TimeoutError:
                _log.info("%d events wait for the next start", self._outbox.length)
            # What another task is sending must not arrive after the last status.
            async with self._sending_retained:
                await connection.deliver(self._status, self.farewell, retain=self._settings.retain)
                if not self.farewell:
                    self._retained.discard(self._status)
                    await self._announced.cleared([self._status])

    # The queues.

    async def _send_retained(self, connection: Connection) -> None:
        while True:
            await self._retained.waiting.wait()
            await self._send_some_retained(connection)

    async def _send_some_retained(self, connection: Connection) -> None:
        async with self._sending_retained:
            some = self._retained.take(IN_FLIGHT)
            outcomes = await self._deliver(connection, some, retain=self._settings.retain)
            cleared = []
            for (topic, payload), outcome in zip(some, outcomes, strict=True):
                if outcome is None or isinstance(outcome, RefusedError):
                    self._on_settled(topic, payload)
                if outcome is None and not payload:
                    self._retained.cleared(topic)
                    cleared.append(topic)
            if cleared:
                await self._announced.cleared(cleared)
            _raise_loss(outcomes)

    async def _send_events(self, connection: Connection) -> None:
        wait = Backoff(RETRY)
        while True:
            self._outbox.arrived.clear()
            outcome = await self._send_some_events(connection)
            if outcome == "refused":
                await asyncio.sleep(wait.longest_s())
            elif outcome == "nothing":
                await self._outbox.arrived.wait()

    async def _send_some_events(
        self, connection: Connection
    ) -> Literal["sent", "nothing", "refused"]:
        """Send the oldest, and delete what the broker acknowledged.

        An event that may not be published waits; one that the broker will never accept is
        dropped and counted.
        """
        async with self._sending_events:
            rows = await self._outbox.oldest(EVENTS_AT_ONCE)
            if not rows:
                return "nothing"
            outcomes = await self._deliver(connection, [(row.topic, row.payload) for row in rows])
            both = list(zip(rows, outcomes, strict=True))
            await self._outbox.remove(row for row, outcome in both if outcome is None)
            refusals = {row: each for row, each in both if isinstance(each, RefusedError)}
            never = [row for row, each in refusals.items() if each.code in _NEVER_ACCEPTED]
            await self._outbox.drop(never)
            _raise_loss(outcomes)
            return "refused" if len(refusals) > len(never) else "sent"

    async def _deliver(
        self, connection: Connection, some: Sequence[tuple[str, bytes]], *, retain: bool = False
    ) -> list[BaseException | None]:
        """Publish all, in order; return what became of each: None where it was taken."""
        outcomes = await asyncio.gather(
            *(connection.deliver(topic, payload, retain=retain) for topic, payload in some),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if outcome is None:
                self.published += 1
            elif isinstance(outcome, RefusedError):
                self.refused += 1
                self._last_refusal = str(outcome)
                if self._last_refusal not in self._logged:
                    self._logged.add(self._last_refusal)
                    _log.error("%s; check its access rules", outcome)
        return outcomes


def _raise_loss(outcomes: Iterable[BaseException | None]) -> None:
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, RefusedError):
            raise outcome


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
