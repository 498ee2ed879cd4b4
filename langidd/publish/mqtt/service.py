"""The MQTT publisher of a service: its broker, its outbox, and its numbers in the metrics."""

from __future__ import annotations

import logging
from operator import attrgetter
from typing import TYPE_CHECKING

from langidd.naming import host_and_port
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.publish.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from langidd.config import Settings
    from langidd.publish.base import Gauge

_log = logging.getLogger(__name__)

_GAUGES = (
    ("mqtt_connected", "1 while the broker has accepted the connection.", "delivery.connected"),
    ("mqtt_published", "Messages that the broker acknowledged.", "delivery.published"),
    ("mqtt_refused", "Messages that the broker refused.", "delivery.refused"),
    ("mqtt_reconnects", "Connections after the first.", "reconnects"),
    ("mqtt_windows_dropped", "Windows that came without a connection.", "windows_dropped"),
    ("outbox_events", "Events that wait for the broker.", "delivery.waiting"),
    ("outbox_dropped", "Events given up for want of room.", "delivery.dropped"),
    ("outbox_durable", "1 while events are kept on disk.", "delivery.durable"),
)


async def open_publisher(
    settings: Settings,
    stack: AsyncExitStack,
    gauge: Gauge,
    temporary: bool,  # noqa: FBT001 - the registry's signature
) -> MqttPublisher:
    """Return the publisher; without a broker in the settings start langidd's own."""
    mqtt = settings.mqtt
    if mqtt.host is None:
        from langidd.publish.mqtt.broker import EmbeddedBroker

        broker = await stack.enter_async_context(EmbeddedBroker(mqtt.port or 0))
        _log.warning(
            "mqtt.host is not set: langidd's own broker is on %s, for this machine only",
            host_and_port(broker.host, broker.port),
        )
        mqtt = broker.settings(mqtt)
    outbox = Outbox(settings.state_directory, rows=mqtt.outbox_rows, size_bytes=mqtt.outbox_bytes)
    stack.push_async_callback(outbox.close)
    publisher = MqttPublisher(mqtt, settings.node, outbox, _log_state, temporary=temporary)
    for name, text, attribute in _GAUGES:
        gauge(name, text, _reader(publisher, attribute))
    return publisher


def _log_state(state: str) -> None:
    _log.debug("broker: %s", state)


def _reader(publisher: MqttPublisher, attribute: str) -> Callable[[], float]:
    return lambda: float(attrgetter(attribute)(publisher))
