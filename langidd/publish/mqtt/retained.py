"""What the broker should retain, and which of it may not have reached the broker yet."""

from __future__ import annotations

import asyncio


class Retained:
    """The newest payload of each topic; an empty one clears the topic.

    A payload that is replaced before it was sent is never sent: there is one a topic, so
    this stays small however long the broker is away.

    Attributes:
        waiting: Set while there may be something to send.

    """

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self._wanted: dict[str, bytes] = {}
        self._unsent: dict[str, None] = {}

    @property
    def topics(self) -> set[str]:
        """All topics that are not to be cleared."""
        return {topic for topic, payload in self._wanted.items() if payload}

    def put(self, topic: str, payload: bytes) -> None:
        """Want `payload` at `topic`; nothing happens where it is wanted already.

        What is put later is sent later.
        """
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self.put_again(topic)

    def put_again(self, *topics: str) -> None:
        """Send these again, though nothing changed; without any: all of them, in order."""
        for topic in topics or self._wanted:
            if topic in self._wanted:
                self._unsent.pop(topic, None)
                self._unsent[topic] = None
        self.waiting.set()

    def take(self, limit: int) -> list[tuple[str, bytes]]:
        """Return what to send next; it counts as sent unless it is put again."""
        topics = list(self._unsent)[:limit]
        for topic in topics:
            del self._unsent[topic]
        if not self._unsent:
            self.waiting.clear()
        return [(topic, self._wanted[topic]) for topic in topics]

    def discard(self, topic: str) -> None:
        """Want nothing at a topic any more, and send nothing to it."""
        self._wanted.pop(topic, None)
        self._unsent.pop(topic, None)

    def cleared(self, topic: str) -> None:
        """Forget a topic that the broker has cleared, unless it is wanted again."""
        if self._wanted.get(topic) == b"" and topic not in self._unsent:
            self.discard(topic)
