"""Whether a broker would take us, for `langidd check`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import aiomqtt

from langidd.errors import BrokerError
from langidd.publish.mqtt.connection import Connection
from langidd.publish.mqtt.refusals import failure
from langidd.publish.mqtt.topics import Topics

if TYPE_CHECKING:
    from langidd.config import MqttSettings


async def probe(settings: MqttSettings, node: str) -> None:
    """Connect once, publish an empty message beneath the node's topic, and leave.

    Under a client id of its own and without a Last Will, so that a running service does not
    notice. Where no broker is named there is nothing to try. Raises BrokerError.
    """
    if settings.host is None:
        return
    topics = Topics.of(settings.base, node)
    try:
        connection = await Connection.to(
            settings, client_id=f"langidd-check-{secrets.token_hex(4)}", will=None
        )
        try:
            await connection.deliver(topics.of_source("check", "event"), b"")
        finally:
            await connection.leave()
    except (aiomqtt.MqttError, OSError, ValueError) as error:
        raise BrokerError(failure(error, settings).text) from error
