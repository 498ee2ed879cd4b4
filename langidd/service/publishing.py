"""The publishers: opened, closed and asked for what they delivered in one place."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from langidd.naming import host_and_port
from langidd.publish.base import SourceAnnouncement
from langidd.publish.registry import open_publishers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from langidd.config import Settings, SourceSettings
    from langidd.observability.metrics import Metrics
    from langidd.publish.base import Publisher

LOOK_S: Final = 0.1
"""How often the number of waiting events is looked at, once the last source has ended."""


@asynccontextmanager
async def open_publisher(
    settings: Settings, metrics: Metrics, *, temporary: bool
) -> AsyncIterator[Publisher]:
    """Open all publishers as one; on exit they deliver what waits, within seconds.

    Args:
        settings: All of them.
        metrics: Takes the publishers' numbers.
        temporary: Withdraw at the end all that was announced.

    Raises:
        ConfigError: The settings cannot be used.

    """
    async with AsyncExitStack() as stack:
        publisher = await open_publishers(settings, stack, metrics.gauge, temporary=temporary)
        stack.push_async_callback(publisher.close)
        yield publisher


async def delivered(publisher: Publisher) -> None:
    """Wait until no event waits for the broker."""
    while publisher.delivery.waiting:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(LOOK_S)


def undelivered(publisher: Publisher, settings: Settings) -> str:
    """Return in one line which events the broker never took; empty: it took them all."""
    state = publisher.delivery
    broker = host_and_port(settings.mqtt.host or "", settings.mqtt.port_number)
    why = f" ({state.detail})" if state.detail else ""
    parts = []
    if state.waiting and state.durable:
        parts.append(
            f"{state.waiting} events wait in {settings.state_directory} and go out at the next "
            "start with this directory"
        )
    elif state.waiting:
        parts.append(f"{state.waiting} events are lost, since no state_directory keeps them")
    if state.dropped:
        parts.append(f"{state.dropped} events were dropped because the outbox was full")
    return f"the broker {broker} did not take all{why}: {'; '.join(parts)}" if parts else ""


def announcement(source: SourceSettings, languages: tuple[str, ...]) -> SourceAnnouncement:
    """Return what subscribers are told of a source that chooses among these languages."""
    kind = "file"
    if source.device is not None:
        kind = "microphone"
    elif source.rtsp is not None:
        kind = "rtsp"
    recording = source.file not in {None, "-"} and not source.realtime
    return SourceAnnouncement(source.name, languages, kind, recording=recording)
