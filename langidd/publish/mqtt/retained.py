"""What the broker should hold of us: the retained messages, and which it may not have yet."""

from __future__ import annotations

import asyncio


class Retained:
    """The newest payload of each retained topic; an empty one clears the topic.

    A value that is replaced before it was sent is never sent: there is one per topic, so
    this stays as small as what is said, however long the broker is away.
    """

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        """Set while there may be something to send."""
        self._wanted: dict[str, bytes] = {}
        self._unsent: dict[str, None] = {}

    def put(self, topic: str, payload: bytes) -> None:
        """Want `payload` at `topic`; nothing happens where it is wanted already."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self._unsent[topic] = None
            self.waiting.set()

    def put_again(self, *topics: str) -> None:
        """Send these again, though nothing changed; without any: all of them, in order."""
        for topic in topics or self._wanted:
            if topic in self._wanted:
                self._unsent.pop(topic, None)
                self._unsent[topic] = None
        self.waiting.set()

    def take(self, limit: int) -> list[tuple[str, bytes]]:
        """Return what to send next; whoever takes it and fails calls `put_again`."""
        topics = list(self._unsent)[:limit]
        for topic in topics:
            del self._unsent[topic]
        if not self._unsent:
            self.waiting.clear()
        return [(topic, self._wanted[topic]) for topic in topics]

    def sent(self, topic: str, payload: bytes) -> None:
        """Forget a topic that the broker has cleared."""
        if not payload and self._wanted.get(topic) == b"" and topic not in self._unsent:
            del self._wanted[topic]

    def __len__(self) -> int:
        return len(self._wanted)
