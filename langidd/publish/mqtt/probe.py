"""Whether a broker accepts all that the service will ask of it, for `langidd check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiomqtt
from aiomqtt.exceptions import MqttCodeError

from langidd.errors import BrokerError
from langidd.naming import host_and_port
from langidd.publish.mqtt import homeassistant
from langidd.publish.mqtt.connection import ClosedError, Connection, RefusedError
from langidd.publish.mqtt.publisher import client_id
from langidd.publish.mqtt.refusals import failure
from langidd.publish.mqtt.topics import Topics

if TYPE_CHECKING:
    from langidd.config import MqttSettings

_NO_SOURCE: Final = "-check-"
"""Stands in topics for a source; no name has this slug."""


async def probe(settings: MqttSettings, node: str) -> None:
    """Connect as the service does, publish to each kind of topic, and leave.

    The client id is the service's own with `-check` behind it, and the Last Will is at the
    service's topic, so the broker applies the rules that will apply to the service. All
    messages are empty, the Last Will too: nothing stays on the broker. Without a broker in
    the settings there is nothing to try.

    Raises:
        BrokerError: One line on all that the broker refuses.

    """
    if settings.host is None:
        return
    topics = Topics.of(settings.base, node)
    try:
        refused = await _try(settings, topics)
    except (BrokerError, aiomqtt.MqttError, OSError, ValueError) as error:
        lacking = ""
        if settings.protocol == "3.1.1" and isinstance(error, (ClosedError, MqttCodeError)):
            lacking = await _lacking(settings, topics)
        raise BrokerError(lacking or failure(error, settings).text) from error
    if refused:
        place = host_and_port(settings.host, settings.port_number)
        raise BrokerError(f"broker {place} refuses {', '.join(refused)}; check its access rules")


async def _try(settings: MqttSettings, topics: Topics) -> list[str]:
    connection = await Connection.open(
        settings,
        client_id=f"{settings.client_id or client_id(topics)}-check",
        will=aiomqtt.Will(topics.status, b"", qos=settings.qos, retain=settings.retain),
        on_message=lambda _: None,
    )
    try:
        return await _refused(connection, settings, topics)
    finally:
        await connection.leave()


async def _lacking(settings: MqttSettings, topics: Topics) -> str:
    """Return what a broker lacks that accepts less; with MQTT 3.1.1 it cannot say so itself."""
    for less in ({"retain": False}, {"qos": 0}, {"retain": False, "qos": 0}):
        try:
            await _try(settings.model_copy(update=less), topics)
        except (BrokerError, aiomqtt.MqttError, OSError, ValueError):
            continue
        place = host_and_port(settings.host or "", settings.port_number)
        keys = " and ".join(f"mqtt.{key} = {str(value).lower()}" for key, value in less.items())
        return f"broker {place} ends the connection without a reason; it accepts it with {keys}"
    return ""


async def _refused(connection: Connection, settings: MqttSettings, topics: Topics) -> list[str]:
    retained = [
        topics.of_source(_NO_SOURCE, leaf) for leaf in ("availability", "language", "state")
    ]
    other = [topics.status, topics.of_source(_NO_SOURCE, "event")]
    listened = [topics.status]
    if settings.discovery:
        identifier = homeassistant.source_identifier(topics, _NO_SOURCE)
        retained.append(homeassistant.config_topic(settings.discovery_prefix, identifier))
        listened.append(f"{settings.discovery_prefix}/status")
    if settings.windows:
        other.append(topics.of_source(_NO_SOURCE, "window"))
    refused = []
    for topic in (*retained, *other):
        try:
            await connection.deliver(topic, b"", retain=settings.retain and topic in retained)
        except RefusedError:
            refused.append(f"messages to {topic}")
    denied = [topic for topic in listened if not await connection.subscribe(topic)]
    return refused + [f"a subscription to {topic}" for topic in denied]
