"""From settings to publishers: each way out is one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langidd.publish.fan_out import FanOut
from langidd.publish.mqtt import service as mqtt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from langidd.config import Settings
    from langidd.publish.base import Gauge, Publisher

    Open = Callable[[Settings, AsyncExitStack, Gauge, bool], Awaitable[Publisher | None]]

WAYS: Final[tuple[Open, ...]] = (mqtt.open_publisher,)
"""Each takes the settings, a stack for what it must close, the metrics' `gauge`, and whether
what is announced goes with the process; it returns None where the settings do not ask for it."""


async def open_publishers(
    settings: Settings, stack: AsyncExitStack, gauge: Gauge, *, temporary: bool = False
) -> FanOut:
    """Return a publisher for all that the settings ask for.

    Args:
        settings: The whole configuration.
        stack: Closes, in the reverse order, what was opened here; not the publishers, whose
            `close` the caller awaits first.
        gauge: Takes a number for the metrics.
        temporary: Withdraw at the end all that was announced.

    Raises:
        ConfigError: The settings cannot be used.

    """
    opened = [await way(settings, stack, gauge, temporary) for way in WAYS]
    return FanOut([publisher for publisher in opened if publisher is not None])
