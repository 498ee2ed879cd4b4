"""Brokers that send junk: bytes that are no MQTT, and messages that mean nothing."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiomqtt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langidd.config import MqttSettings
from langidd.publish.base import SourceAnnouncement
from langidd.publish.mqtt import connection, delivery
from langidd.publish.mqtt.broker import EmbeddedBroker
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.retry import RetryPolicy
from tests.support.mosquitto_process import decision, free_port, running, until
from tests.support.scripted_server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


CONNACK_5 = bytes([0x20, 3, 0, 0, 0])
CONNACK_3 = bytes([0x20, 2, 0, 0])
TOPICS = st.one_of(
    st.sampled_from(["homeassistant/status", "langidd/home/status", "langidd/home/kitchen/state"]),
    st.text(),
)
PAYLOADS = st.one_of(
    st.sampled_from([b"online", b"offline", b"", b"ONLINE", b'{"a":', b"\xff\xfe"]),
    st.binary(max_size=300),
    st.none() | st.text() | st.integers() | st.floats(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans()), max_size=20))
def test_no_message_to_us_does_more_than_make_us_repeat_ourselves(
    seen: list[tuple[str, object, bool]],
) -> None:
    async def listen() -> None:
        publisher = MqttPublisher(
            MqttSettings(host="127.0.0.1", port=1), "home", None, lambda _: None
        )
        publisher.announce([SourceAnnouncement("Kitchen")])
        before = dict(publisher._retained._wanted)
        for topic, payload, retained in seen:
            publisher._inbound.receive(topic, payload, retained=retained)
        await asyncio.sleep(0)
        assert publisher._retained._wanted == before
        assert publisher.delivery.waiting == 0
        assert len(publisher._inbound._timers) <= 2
        await publisher.close()

    asyncio.run(listen())


def publish_packet(topic: bytes, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + b"\0" + payload
    return bytes([0x30, len(body)]) + body


@asynccontextmanager
async def junk_broker(port: int, *answers: bytes) -> AsyncIterator[list[int]]:
    """Answers the first connections with these bytes and hangs up."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        with suppress(TimeoutError, OSError):
            await reader.read(100)
            writer.write(answers[(len(connections) - 1) % len(answers)])
            async with asyncio.timeout(0.05):
                while await reader.read(1000):
                    continue

    async with serving(serve, port):
        yield connections


HURRY = RetryPolicy(first_s=0.001, longest_s=0.002)


@settings(max_examples=25, deadline=None)
@given(
    before=st.sampled_from([b"", CONNACK_5, CONNACK_3]),
    junk=st.binary(max_size=200),
)
@example(before=CONNACK_5, junk=publish_packet(b"\xff\xfe", b"no UTF-8 in the topic"))
@example(before=CONNACK_5, junk=publish_packet(b"a/#", b"a wildcard in the topic"))
@example(before=CONNACK_5, junk=publish_packet(b"", b"no topic"))
@example(before=CONNACK_5, junk=bytes([0x40, 2, 0, 9]))  # an acknowledgement of nothing
@example(before=CONNACK_5, junk=bytes([0x90, 3, 0, 9, 0]))  # a subscription's that nobody made
@example(before=CONNACK_5, junk=CONNACK_5 * 3)
@example(before=CONNACK_5, junk=bytes([0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]))  # a length past all
@example(before=b"", junk=b"HTTP/1.1 400 Bad Request\r\n\r\n")
@example(before=b"", junk=bytes([0x20, 3, 0, 0x9F, 0]))  # refused: connection rate exceeded
def test_bytes_that_are_no_mqtt_only_cost_the_connection(before: bytes, junk: bytes) -> None:
    async def meet() -> None:
        port = free_port()
        publisher = MqttPublisher(
            MqttSettings(host="127.0.0.1", port=port, protocol="3.1.1"),
            "home",
            None,
            lambda _: None,
        )
        five = MqttPublisher(
            MqttSettings(host="127.0.0.1", port=port), "home-5", None, lambda _: None
        )
        async with (
            junk_broker(port, before + junk) as connections,
            running(publisher),
            running(five),
        ):
            publisher.decision(decision())
            await until(lambda: len(connections) >= 6)
            assert publisher.delivery.waiting == 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "RETRY", HURRY)
        patch.setattr(connection, "ANSWER_S", 0.3)
        asyncio.run(meet())


async def test_after_the_junk_a_real_broker_gets_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "RETRY", RetryPolicy(first_s=0.02, longest_s=0.02))
    port = free_port()
    publisher = MqttPublisher(
        MqttSettings(host="127.0.0.1", port=port, protocol="3.1.1"), "home", None, lambda _: None
    )
    async with running(publisher):
        publisher.decision(decision())
        async with junk_broker(port, CONNACK_3 + b"\xff" * 50, b"junk") as connections:
            await until(lambda: len(connections) >= 4)
        async with EmbeddedBroker(port):
            await until(lambda: publisher.delivery.connected and publisher.delivery.waiting == 0)
            await publisher.close()


async def test_a_connection_given_up_with_bytes_unsent_is_taken_apart_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    accepted = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(CONNACK_3)
        reader._transport.pause_reading()
        accepted.set()
        await asyncio.Event().wait()

    port = free_port()
    settings = MqttSettings(host="127.0.0.1", port=port, protocol="3.1.1")
    async with serving(deaf, port, limit=1):
        link = await connection.Connection.open(
            settings, client_id="unsent", will=aiomqtt.Will("a"), on_message=lambda _: None
        )
        await accepted.wait()
        link.send("langidd/home/unsent", bytes(32 * 1024 * 1024))
        await until(link._paho.want_write)
        link.abandon()
        for _ in range(5):
            await asyncio.sleep(0)
        del link
        gc.collect()
    assert said == []
