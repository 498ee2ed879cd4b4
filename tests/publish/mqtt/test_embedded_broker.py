from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from langidd.config import MqttSettings
from langidd.publish.base import SourceAnnouncement
from langidd.publish.mqtt.broker import EmbeddedBroker
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.types import Health
from tests.support.mosquitto_process import decision, listen_all, running, until


async def test_our_own_broker_serves_our_publisher_and_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with EmbeddedBroker() as broker, listen_all(broker.port, "-V", "311") as listener:
        publisher = MqttPublisher(broker.settings(MqttSettings()), "home", None, lambda _: None)
        async with running(publisher):
            publisher.announce([SourceAnnouncement("Kitchen", ("uz",))])
            publisher.health(Health("Kitchen", "live", 1.0))
            for number in range(50):
                publisher.decision(decision(number))
            await listener.until(lambda seen: len(seen.of("/event")) >= 50)
            async with listen_all(broker.port, "-V", "311") as late:
                await late.until(lambda seen: seen.of("/kitchen/state"))
                await late.until(lambda seen: seen.of("/kitchen/availability"))
        await listener.until(lambda seen: seen.of("/home/status")[-1].payload == "offline")
        assert [each.json["sequence"] for each in listener.of("/event")] == list(range(1, 51))
    assert not [each for each in caplog.records if each.name.startswith(("amqtt", "transitions"))]
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_a_publisher_that_dies_is_offline_on_our_own_broker() -> None:
    async with EmbeddedBroker() as broker, listen_all(broker.port, "-V", "311") as listener:
        publisher = MqttPublisher(broker.settings(MqttSettings()), "home", None, lambda _: None)
        task = asyncio.create_task(publisher.run())
        await listener.until(lambda seen: seen.of("/home/status"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.until(lambda seen: seen.of("/home/status")[-1].payload == "offline")


async def test_our_own_broker_is_on_the_loopback_address_alone_and_goes_with_us() -> None:
    async with EmbeddedBroker() as broker:
        assert broker.host == "127.0.0.1"
        publisher = MqttPublisher(broker.settings(MqttSettings()), "home", None, lambda _: None)
        task = asyncio.create_task(publisher.run())
        await until(lambda: publisher.delivery.connected)
        port = broker.port
        with pytest.raises(OSError, match="in use"):
            async with EmbeddedBroker(port):
                pass
    await until(lambda: not publisher.delivery.connected)
    await publisher.close()
    await task
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) != 0
