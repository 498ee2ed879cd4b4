"""Sees every event that reaches the broker, and says what was lost or came twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable

WEEK_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Seen:
    """An event, and when it came (monotonic)."""

    at: float
    event: dict[str, Any]
    topic: str


class Witness:
    """A subscriber with a persistent session, in a thread of its own (paho's).

    It knows nothing of langidd but the topics and each event's `id` and `sequence`.
    """

    def __init__(self, port: int) -> None:
        self.seen: list[Seen] = []
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="witness", protocol=MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("langidd/+/+/event", qos=1)
        self._client.on_subscribe = lambda *_: self._in_loop(self._subscribed.set)
        self._client.on_disconnect = lambda *_: self._in_loop(self._subscribed.clear)
        self._client.on_message = self._take
        self._client.reconnect_delay_set(min_delay=0.1, max_delay=0.2)  # type: ignore[arg-type]

    async def __aenter__(self) -> Self:
        keep = Properties(PacketTypes.CONNECT)
        keep.SessionExpiryInterval = WEEK_S
        self._client.connect_async(
            "127.0.0.1", self._port, keepalive=60, clean_start=False, properties=keep
        )
        self._client.loop_start()
        await self.subscribed()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def subscribed(self) -> None:
        """Wait until the broker has us (again)."""
        async with asyncio.timeout(60):
            await self._subscribed.wait()

    def missing(self) -> None:
        """Forget that we are subscribed: the broker is about to be killed."""
        self._subscribed.clear()

    async def until(self, true: Callable[[], object], within_s: float) -> None:
        """Wait for an event that makes it true; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def next_event(self, after: float, within_s: float) -> float:
        """Wait for the first event that came after that moment; returns when it came."""
        await self.until(lambda: self.seen and self.seen[-1].at > after, within_s)
        return next(seen.at for seen in self.seen if seen.at > after)

    @property
    def identifiers(self) -> set[str]:
        """The events that came."""
        return {seen.event["id"] for seen in self.seen}

    def lost(self) -> list[int]:
        """Sequences between the first and the last that never came."""
        numbers = {seen.event["sequence"] for seen in self._numbered()}
        if not numbers:
            return []
        return sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)

    def doubled(self) -> list[Seen]:
        """Events that had come before."""
        counted: Counter[str] = Counter()
        again = []
        for seen in self.seen:
            counted[seen.event["id"]] += 1
            if counted[seen.event["id"]] > 1:
                again.append(seen)
        return again

    def reused(self) -> list[int]:
        """Sequences that two different events had."""
        identifiers: dict[int, set[str]] = {}
        for seen in self._numbered():
            identifiers.setdefault(seen.event["sequence"], set()).add(seen.event["id"])
        return sorted(number for number, found in identifiers.items() if len(found) > 1)

    def out_of_order(self) -> int:
        """First arrivals that came after a later event's."""
        highest, late, known = 0, 0, set()
        for seen in self._numbered():
            number = seen.event["sequence"]
            if number not in known:
                known.add(number)
                late += number < highest
                highest = max(highest, number)
        return late

    def _numbered(self) -> list[Seen]:
        """Events with a sequence: one that was made while the outbox was shut has none."""
        return [seen for seen in self.seen if seen.event.get("sequence") is not None]

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        seen = Seen(time.monotonic(), json.loads(message.payload), message.topic)
        self._in_loop(lambda: self._note(seen))

    def _note(self, seen: Seen) -> None:
        self.seen.append(seen)
        self._news.set()

    def _in_loop(self, work: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(work)
