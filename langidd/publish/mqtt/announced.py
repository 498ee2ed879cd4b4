"""What was announced on the broker: remembered by topic, and withdrawn once it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langidd.publish.mqtt import homeassistant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langidd.publish.mqtt.retained import Retained
    from langidd.publish.outbox import Outbox


class Announced:
    """Withdraws topics by clearing them, and a device once more at Home Assistant's birth.

    Home Assistant keeps a device whose configuration is cleared while it is down.

    Args:
        retained: What the broker should retain.
        outbox: Remembers, over restarts, what was announced.
        clears: Whether the broker retains messages, so that there are any to clear.

    Attributes:
        complete: Whether all sources have been announced; before that it is not known what
            is gone.

    """

    def __init__(self, retained: Retained, outbox: Outbox, *, clears: bool) -> None:
        self.complete = False
        self._retained = retained
        self._outbox = outbox
        self._clears = clears
        self._before_birth: set[str] = set()
        """Configurations that were cleared; Home Assistant may not know."""
        self._after_birth: set[str] = set()
        """Those of them that are cleared again now that Home Assistant has started."""

    @property
    def awaits_birth(self) -> bool:
        """Whether a device is to be withdrawn again once Home Assistant starts."""
        return bool(self._before_birth - self._retained.topics)

    def withdraw(self, topics: Iterable[str]) -> None:
        """Clear topics; without retained messages there are only devices to withdraw."""
        for topic in topics:
            if self._clears or homeassistant.is_config(topic):
                self._retained.put(topic, b"")

    async def remember(self) -> None:
        """Remember all topics that are wanted; withdraw those of earlier runs."""
        before = await self._outbox.remember(self._retained.topics)
        if self.complete:
            self.withdraw(before - self._retained.topics)

    async def cleared(self, topics: Iterable[str]) -> None:
        """Forget what the broker has cleared; devices only after Home Assistant's birth."""
        done = set()
        for topic in topics:
            if topic in self._after_birth or not homeassistant.is_config(topic):
                done.add(topic)
            else:
                self._before_birth.add(topic)
        self._after_birth -= done
        self._before_birth -= done
        await self._outbox.forget(done - self._retained.topics)

    def home_assistant_started(self) -> None:
        """Withdraw once more what Home Assistant may not know to be gone."""
        self._before_birth -= self._retained.topics
        self._after_birth |= self._before_birth
        self.withdraw(self._before_birth)
