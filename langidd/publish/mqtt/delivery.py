"""Sending over a connection what waits: the retained messages and the outbox."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Literal

from langidd.publish.mqtt.backoff import spread
from langidd.publish.mqtt.connection import IN_FLIGHT, Connection, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langidd.publish.mqtt.retained import Retained
    from langidd.publish.outbox import Outbox

_log = logging.getLogger(__name__)

EVENTS_AT_ONCE: Final = 100
"""Events that leave before any of them is deleted: one write to the disk for all of them."""
REFUSED_S: Final = 60.0
"""Until the next attempt at an event that the broker refuses."""
_HOPELESS: Final = frozenset({144, 149, 153})
"""Reason codes of MQTT 5 that the same message will get for ever: topic name invalid,
packet too large, payload format invalid."""


class Delivery:
    """Empties `retained` and `outbox` into one connection after the other.

    All calls raise aiomqtt.MqttError when the connection is lost.
    """

    def __init__(self, retained: Retained, outbox: Outbox) -> None:
        self.published = 0
        """Messages that the broker acknowledged."""
        self.refused = 0
        """Messages that it would not have."""
        self.last_refusal = ""
        self._retained = retained
        self._outbox = outbox
        self._retained_turn = asyncio.Lock()
        self._events_turn = asyncio.Lock()
        self._complained: set[str] = set()

    def begin(self) -> None:
        """A new connection: what is refused now is said again."""
        self._complained.clear()
        self.last_refusal = ""

    async def drain_retained(self, connection: Connection) -> None:
        """Return when everything retained was sent and acknowledged."""
        while self._retained.waiting.is_set():
            await self._send_some_retained(connection)
        async with self._retained_turn:
            return

    async def drain_events(self, connection: Connection) -> None:
        """Return when the outbox is empty, or an event is refused."""
        while await self._send_some_events(connection) == "sent":
            continue

    async def send_retained(self, connection: Connection) -> None:
        """Send whatever is retained, as it changes, until cancelled."""
        while True:
            await self._retained.waiting.wait()
            await self._send_some_retained(connection)

    async def _send_some_retained(self, connection: Connection) -> None:
        async with self._retained_turn:
            some = self._retained.take(IN_FLIGHT)
            refusals = await self._deliver(connection, some, retain=True)
            for (topic, payload), refusal in zip(some, refusals, strict=True):
                if refusal is None:
                    self._retained.sent(topic, payload)

    async def send_events(self, connection: Connection) -> None:
        """Send events, in order, as they come, until cancelled."""
        while True:
            self._outbox.arrived.clear()
            outcome = await self._send_some_events(connection)
            if outcome == "refused":
                await asyncio.sleep(spread(REFUSED_S))
            elif outcome == "nothing":
                await self._outbox.arrived.wait()

    async def _send_some_events(
        self, connection: Connection
    ) -> Literal["sent", "nothing", "refused"]:
        """Send the oldest, and let go of what the broker acknowledged.

        An event that may not be published waits, and those after it with it, in order; one
        that the broker will never take is given up and counted.
        """
        async with self._events_turn:
            rows = await self._outbox.oldest(EVENTS_AT_ONCE)
            if not rows:
                return "nothing"
            refusals = await self._deliver(
                connection, [(row.topic, row.payload) for row in rows], retain=False
            )
            for row, refusal in zip(rows, refusals, strict=True):
                if refusal is not None and refusal.code not in _HOPELESS:
                    await self._outbox.remove(row.sequence - 1)
                    return "refused"
            self._outbox.dropped += sum(refusal is not None for refusal in refusals)
            await self._outbox.remove(rows[-1].sequence)
            return "sent"

    async def _deliver(
        self, connection: Connection, some: Sequence[tuple[str, bytes]], *, retain: bool
    ) -> list[RefusedError | None]:
        """Publish all with QoS 1, in order; return what the broker said to each."""
        outcomes = await asyncio.gather(
            *(connection.deliver(topic, payload, retain=retain) for topic, payload in some),
            return_exceptions=True,
        )
        refusals: list[RefusedError | None] = []
        for outcome in outcomes:
            if isinstance(outcome, RefusedError):
                self._refuse(outcome)
                refusals.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                self.published += 1
                refusals.append(None)
        return refusals

    def _refuse(self, refusal: RefusedError) -> None:
        self.refused += 1
        self.last_refusal = str(refusal)
        if self.last_refusal not in self._complained:
            self._complained.add(self.last_refusal)
            _log.error("%s; check its access rules", refusal)
