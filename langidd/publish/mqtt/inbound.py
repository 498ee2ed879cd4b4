"""What comes from the broker, and the answers to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langidd.publish import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import aiomqtt

REPEAT_S: float = 5.0
"""Between two answers to messages that make everything be sent again."""


class Inbound:
    """Takes messages from the broker: anything at all, from anyone who may write there.

    Home Assistant's birth makes everything be sent again. `offline` at the node's own status
    while it is connected is the Last Will of an earlier connection, or somebody else's doing;
    either way it is not true, and the status is sent again.

    Args:
        births: Topics where Home Assistant says that it has started.
        status: The node's own.
        send_again: Sends topics again; called with none of them for all.

    Attributes:
        ignored: Messages that meant nothing.

    """

    def __init__(
        self, births: Collection[str], status: str, send_again: Callable[..., None]
    ) -> None:
        self.ignored = 0
        self._births = births
        self._status = status
        self._send_again = send_again
        self._closed = False
        self._timers: dict[tuple[str, ...], asyncio.TimerHandle] = {}
        self._answered_at: dict[tuple[str, ...], float] = {}

    def message(self, message: aiomqtt.Message) -> None:
        """Take a message as aiomqtt has it."""
        self.receive(str(message.topic), message.payload, retained=message.retain)

    def receive(self, topic: str, payload: object, *, retained: bool) -> None:
        """Take a message."""
        if self._closed or retained:
            return
        if topic in self._births and payload == messages.ONLINE:
            self._answer()
        elif topic == self._status and payload in (messages.OFFLINE, b""):
            self._answer(self._status)
        elif topic != self._status or payload != messages.ONLINE:
            self.ignored += 1

    def _answer(self, *topics: str) -> None:
        """Send these again, or all, but not more often than every `REPEAT_S`."""
        if topics in self._timers:
            return
        loop = asyncio.get_running_loop()
        earliest = self._answered_at.get(topics, loop.time() - REPEAT_S) + REPEAT_S

        def now() -> None:
            del self._timers[topics]
            self._answered_at[topics] = loop.time()
            self._send_again(*topics)

        self._timers[topics] = loop.call_at(max(earliest, loop.time()), now)

    def close(self) -> None:
        """Answer no more."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
