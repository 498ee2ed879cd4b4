"""Brokers of less ability: what they cannot do is respected, and said."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import aiomqtt
import pytest

from langidd.config import MqttSettings
from langidd.errors import BrokerError
from langidd.publish.base import SourceAnnouncement
from langidd.publish.mqtt import connection, delivery
from langidd.publish.mqtt.probe import probe
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.retry import RetryPolicy
from langidd.types import Health
from tests.support.mosquitto_process import (
    Mosquitto,
    decision,
    free_port,
    listen_all,
    running,
    until,
)
from tests.support.scripted_server import serving

if TYPE_CHECKING:
    from pathlib import Path

KITCHEN = SourceAnnouncement("Kitchen", ("uz", "ru", "en"), "rtsp")
LESS = {
    "retain_available false": {"retain": False},
    "max_qos 0": {"qos": 0},
    "retain_available false\nmax_qos 0": {"retain": False, "qos": 0},
}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "RETRY", RetryPolicy(first_s=0.05, longest_s=0.2))


def to(broker: Mosquitto, **more: Any) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", port=broker.port, **more)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("line", LESS)
async def test_a_broker_of_less_ability_names_the_setting_in_check_and_run(
    tmp_path: Path, line: str, protocol: str
) -> None:
    key = next(iter(LESS[line]))
    async with Mosquitto(tmp_path, f"allow_anonymous true\n{line}") as broker:
        with pytest.raises(BrokerError, match=rf"mqtt\.{key} = (0|false)"):
            await probe(to(broker, protocol=protocol), "home")
        states: list[str] = []
        publisher = MqttPublisher(to(broker, protocol=protocol), "home", None, states.append)
        async with running(publisher):
            publisher.announce([KITCHEN])
            await until(lambda: any(f"mqtt.{key}" in state for state in states))
            assert not publisher.delivery.connected


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("line", LESS)
async def test_with_the_setting_everything_is_published_and_the_loss_is_said(
    tmp_path: Path, line: str, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**LESS[line], "protocol": protocol}
    async with Mosquitto(tmp_path, f"allow_anonymous true\n{line}") as broker:
        await probe(to(broker, **settings), "home")
        publisher = MqttPublisher(to(broker, **settings), "home", None, lambda _: None)
        async with listen_all(broker.port) as listener, running(publisher):
            publisher.announce([KITCHEN])
            publisher.health(Health("Kitchen", "live", 1.0))
            for number in range(30):
                publisher.decision(decision(number))
            await listener.until(lambda seen: len(seen.of("/event")) == 30)
            await listener.until(lambda seen: seen.of("/home/status")[-1].payload == "online")
            await until(lambda: publisher.delivery.waiting == 0)
            publisher.announce([])
            await listener.until(lambda seen: seen.of("--kitchen/config")[-1].payload == "")
        assert publisher.reconnects == 0
        numbers = [each.json["sequence"] for each in listener.of("/event")]
        assert numbers == list(range(1, 31))
    said = caplog.text
    for key in LESS[line]:
        assert said.count(f"mqtt.{key} is") == 1
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next MQTT packet: its first byte and its body."""
    head = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return head, await reader.readexactly(length)


class HoldingBroker:
    """MQTT 5: holds acknowledgements back, and counts how many it holds at most."""

    def __init__(self, properties: bytes) -> None:
        self.port = free_port()
        self.most = 0
        self._answers = {
            1: lambda _: bytes([0x20, 3 + len(properties), 0, 0, len(properties)]) + properties,
            8: lambda body: bytes([0x90, 4]) + body[:2] + b"\0\0",
        }
        self._waiting: list[bytes] = []

    async def __aenter__(self) -> Self:
        self._serving = serving(self._serve, self.port)
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._serving.__aexit__(None, None, None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._acknowledge(writer))
        with suppress(asyncio.IncompleteReadError, OSError):
            try:
                while True:
                    head, body = await packet(reader)
                    if answer := self._answers.get(head >> 4):
                        writer.write(answer(body))
                    elif head >> 4 == 3 and head & 0x06:
                        size = int.from_bytes(body[:2], "big")
                        self._waiting.append(body[2 + size : 4 + size])
            finally:
                task.cancel()

    async def _acknowledge(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.most = max(self.most, len(self._waiting))
            for each in self._waiting:
                writer.write(bytes([0x40, 2]) + each)
            self._waiting.clear()


@pytest.mark.parametrize("most", [1, 5, 300])
async def test_no_more_is_on_its_way_than_the_broker_receives(most: int) -> None:
    async with HoldingBroker(bytes([0x21]) + most.to_bytes(2, "big")) as broker:
        settings = MqttSettings(host="127.0.0.1", port=broker.port)
        publisher = MqttPublisher(settings, "home", None, lambda _: None)
        async with running(publisher):
            publisher.announce([KITCHEN])
            for number in range(30):
                publisher.decision(decision(number))
            await until(lambda: publisher.delivery.waiting == 0)
        assert broker.most == min(most, connection.IN_FLIGHT)


async def test_an_event_that_is_too_large_for_the_broker_is_counted_and_not_sent() -> None:
    async with HoldingBroker(bytes([0x27]) + (500).to_bytes(4, "big")) as broker:
        settings = MqttSettings(host="127.0.0.1", port=broker.port, discovery=False)
        publisher = MqttPublisher(settings, "home", None, lambda _: None)
        async with running(publisher):
            publisher.decision(decision())
            large = decision(1)
            publisher.decision(type(large)(large.source, "uz", 0.5, "change", 1.0, 2.0, "x" * 500))
            await until(lambda: publisher.delivery.waiting == 0)
            assert publisher.delivery.dropped == 1
            assert "over 500 bytes" in publisher.delivery.detail
            assert publisher.delivery.connected


async def test_check_finds_what_the_service_would_be_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    wrong = {
        "topic readwrite langidd/#": "homeassistant/device/",
        "topic readwrite homeassistant/#": "messages to langidd/home/-check-/availability",
        "topic readwrite langidd/home/status\ntopic readwrite homeassistant/#\n"
        "topic write langidd/home/+/state": "/availability, .*/language, .*/event",
    }
    for text, words in wrong.items():
        rules.write_text(text + "\n")
        async with Mosquitto(tmp_path, f"allow_anonymous true\nacl_file {rules}") as broker:
            with pytest.raises(BrokerError, match=words) as refused:
                await probe(to(broker), "home")
            assert "\n" not in str(refused.value)
    rules.write_text("topic readwrite langidd/#\n")
    async with Mosquitto(tmp_path, f"allow_anonymous true\nacl_file {rules}") as broker:
        await probe(to(broker, discovery=False), "home")


async def test_check_comes_as_the_service_comes(tmp_path: Path) -> None:
    lines = "allow_anonymous true\nclientid_prefixes langidd-home"
    async with Mosquitto(tmp_path, lines) as broker:
        await probe(to(broker), "home")
        await probe(to(broker, client_id="langidd-home-2"), "home")
        with pytest.raises(BrokerError, match="refuses the connection"):
            await probe(to(broker), "elsewhere")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_check_leaves_nothing_behind_and_disturbs_no_service(
    tmp_path: Path, protocol: str
) -> None:
    async with Mosquitto(tmp_path) as broker:
        await probe(to(broker, protocol=protocol, windows=True), "home")
        async with listen_all(broker.port) as listener:
            publisher = MqttPublisher(to(broker), "home", None, lambda _: None)
            async with running(publisher):
                publisher.announce([KITCHEN])
                await listener.until(lambda seen: seen.of("/home/status"))
                assert not [each for each in listener.messages if each.retained]
                await probe(to(broker, protocol=protocol, windows=True), "home")
                await listener.until(lambda seen: seen.of("-check-/event"))
                assert publisher.delivery.connected
                assert publisher.reconnects == 0
                assert [each.payload for each in listener.of("/home/status")][-1:] != ["offline"]
        async with listen_all(broker.port) as late:
            await late.until(lambda seen: seen.of("/home/status"))
            assert not [each for each in late.messages if "check" in each.topic]


def test_the_one_private_name_of_aiomqtt_is_still_there() -> None:
    from importlib.metadata import version

    from paho.mqtt.client import Client

    from langidd.publish.mqtt.paho import paho_client

    async def look() -> object:
        return paho_client(aiomqtt.Client("broker.invalid"))

    assert isinstance(asyncio.run(look()), Client)
    assert version("aiomqtt").startswith("2.5."), "try it, then raise the pin in pyproject.toml"
