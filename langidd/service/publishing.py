"""The publisher with its outbox: opened, measured and closed in one place."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from langidd.publish.messages import SourceAnnouncement
from langidd.publish.mqtt.broker import EmbeddedBroker
from langidd.publish.mqtt.publisher import Publisher
from langidd.publish.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from langidd.config import Settings, SourceSettings
    from langidd.decision.decider import Decider
    from langidd.observability.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_S: Final = 0.1
"""How often the number of waiting events is looked at, once the last source has ended."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How events go out: `waiting` are not acknowledged, `dropped` were given up for good."""

    connected: bool
    published: int
    waiting: int
    dropped: int
    refused: int
    durable: bool
    detail: str
    """Why there is no connection, or what was refused last."""


@asynccontextmanager
async def open_publisher(settings: Settings, metrics: Metrics) -> AsyncIterator[Publisher]:
    """Open what publishes; on exit, send what waits for up to 2 s and say `offline`."""
    async with AsyncExitStack() as stack:
        mqtt = settings.mqtt
        if mqtt.host is None:
            broker = await stack.enter_async_context(EmbeddedBroker(mqtt.port or 0))
            log.warning(
                "mqtt.host is not set: langidd runs its own broker on %s:%d, for this machine only",
                broker.host,
                broker.port,
            )
            mqtt = broker.settings(mqtt)
        outbox = Outbox(
            settings.state_directory, rows=mqtt.outbox_rows, size_bytes=mqtt.outbox_bytes
        )
        stack.push_async_callback(outbox.close)
        publisher = Publisher(
            mqtt, settings.node, outbox, lambda state: log.debug("broker: %s", state)
        )
        metrics.publisher(publisher)
        stack.push_async_callback(publisher.close)
        yield publisher


def delivery(publisher: Publisher) -> Delivery:
    """Return how the publisher's events go out at this moment."""
    return Delivery(
        connected=publisher.connected,
        published=publisher.published,
        waiting=publisher.outbox_length,
        dropped=publisher.outbox_dropped,
        refused=publisher.refused,
        durable=publisher.outbox.durable,
        detail=publisher.last_error,
    )


async def delivered(publisher: Publisher) -> None:
    """Wait until no event waits for the broker."""
    while publisher.outbox_length:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(LOOK_S)


def undelivered(publisher: Publisher, settings: Settings) -> str:
    """Return in one line which events the broker never took; empty: it took them all."""
    state = delivery(publisher)
    broker = f"{settings.mqtt.host}:{settings.mqtt.port_number}"
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


def announcement(source: SourceSettings, decider: Decider) -> SourceAnnouncement:
    """Return what subscribers are told of a source."""
    kind = "file"
    if source.device is not None:
        kind = "microphone"
    elif source.rtsp is not None:
        kind = "rtsp"
    return SourceAnnouncement(source.name, decider.languages, kind)
