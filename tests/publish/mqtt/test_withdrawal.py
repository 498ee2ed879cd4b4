"""What was announced and is no longer true is taken off the broker and out of Home Assistant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from langidd.config import MqttSettings
from langidd.publish.base import SourceAnnouncement
from langidd.publish.mqtt import delivery, inbound
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.publish.outbox import Outbox
from langidd.retry import RetryPolicy
from langidd.types import Health
from tests.support.mosquitto_process import (
    Listener,
    Mosquitto,
    decision,
    listen_all,
    running,
    send,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

KITCHEN = SourceAnnouncement("Kitchen", ("uz", "ru", "en"), "rtsp")
HALL = SourceAnnouncement("Hall", ("uz", "ru", "en"), "microphone")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "RETRY", RetryPolicy(first_s=0.05, longest_s=0.2))
    monkeypatch.setattr(inbound, "REPEAT_S", 0.05)


async def retained(broker: Mosquitto) -> set[str]:
    """The topics of all that the broker holds now."""
    async with listen_all(broker.port) as listener:
        await send(broker, "end/of/retained", "x")
        await listener.until(lambda seen: seen.of("end/of/retained"))
        return {each.topic for each in listener.messages if each.retained}


async def settled(broker: Mosquitto, publisher: MqttPublisher, listener: Listener) -> None:
    """Wait until nothing is on its way from the publisher to the listener."""
    before = len(listener.of("settled"))
    await until(lambda: not publisher._retained.waiting.is_set())
    async with publisher._delivery._sending_retained:
        pass
    await send(broker, "settled", "x")
    await listener.until(lambda seen: len(seen.of("settled")) > before)


async def serve(
    broker: Mosquitto, state: Path | None, node: str, *sources: SourceAnnouncement, **more: Any
) -> None:
    """A service that starts, publishes and ends."""
    outbox = Outbox(state)
    temporary = more.pop("temporary", False)
    settings = MqttSettings(host="127.0.0.1", port=broker.port, **more)
    publisher = MqttPublisher(settings, node, outbox, lambda _: None, temporary=temporary)
    async with running(publisher):
        publisher.announce(sources)
        await until(
            lambda: publisher.delivery.connected and not publisher._retained.waiting.is_set()
        )
        publisher.health(Health(sources[0].name, "live", 1.0))
        publisher.decision(decision(source=sources[0].name))
        await until(lambda: publisher.delivery.waiting == 0)
        await until(lambda: not publisher._tasks)
    await outbox.close()


@pytest.mark.parametrize(
    ("node", "changed"),
    [
        ("lobby", {}),
        ("hall", {"base": "lang"}),
        ("hall", {"discovery_prefix": "ha"}),
        ("hall", {"discovery": False}),
        ("lobby", {"base": "lang", "discovery_prefix": "ha"}),
    ],
)
async def test_what_a_changed_setting_leaves_behind_is_withdrawn(
    tmp_path: Path, node: str, changed: dict[str, Any]
) -> None:
    async with Mosquitto(tmp_path) as broker:
        await serve(broker, tmp_path / "state", "hall", KITCHEN, HALL)
        assert len(await retained(broker)) == 10
        await serve(broker, tmp_path / "state", node, KITCHEN, HALL, **changed)
        left = await retained(broker)
    base, prefix = changed.get("base", "langidd"), changed.get("discovery_prefix", "homeassistant")
    for topic in left:
        assert topic.startswith((f"{base}/{node}/", f"{prefix}/device/langidd_{node}"))
    assert len(left) == (10 if changed.get("discovery", True) else 7)


async def test_a_broker_that_was_away_when_the_node_was_renamed_is_cleared_later(
    tmp_path: Path,
) -> None:
    broker = Mosquitto(
        tmp_path, f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/"
    )
    async with broker:
        await serve(broker, tmp_path / "state", "hall", KITCHEN)
        assert broker.process is not None
        broker.process.terminate()  # writes what is retained
        broker.process.wait()
        outbox = Outbox(tmp_path / "state")
        away = MqttPublisher(
            MqttSettings(host="127.0.0.1", port=broker.port), "lobby", outbox, lambda _: None
        )
        async with running(away):
            away.announce([KITCHEN])
            await until(lambda: away.delivery.detail)
        await outbox.close()
        await broker.start()
        assert {topic for topic in await retained(broker) if "hall" in topic}
        await serve(broker, tmp_path / "state", "lobby", KITCHEN)
        assert not {topic for topic in await retained(broker) if "hall" in topic}


async def test_nothing_is_withdrawn_before_it_is_known_what_there_is(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        await serve(broker, tmp_path / "state", "hall", KITCHEN)
        outbox = Outbox(tmp_path / "state")
        settings = MqttSettings(host="127.0.0.1", port=broker.port)
        publisher = MqttPublisher(settings, "hall", outbox, lambda _: None)
        async with listen_all(broker.port) as home_assistant, running(publisher):
            await until(lambda: publisher.delivery.connected)
            await settled(broker, publisher, home_assistant)
            publisher.announce([KITCHEN])
            await until(lambda: not publisher._tasks)
            await settled(broker, publisher, home_assistant)
        await outbox.close()
        assert home_assistant.of("--kitchen/config")
        assert not [each for each in home_assistant.messages if not each.payload]


async def test_a_temporary_publisher_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        await serve(broker, None, "hall-listen", KITCHEN, temporary=True)
        assert await retained(broker) == set()


async def test_a_device_removed_while_home_assistant_was_down_is_withdrawn_at_its_birth(
    tmp_path: Path,
) -> None:
    config = "homeassistant/device/langidd_home--hall/config"
    async with Mosquitto(tmp_path) as broker:
        await serve(broker, tmp_path / "state", "home", KITCHEN, HALL)
        await serve(broker, tmp_path / "state", "home", KITCHEN)
        # A later run, that no longer knows of the hall but by what it remembers.
        outbox = Outbox(tmp_path / "state")
        settings = MqttSettings(host="127.0.0.1", port=broker.port)
        publisher = MqttPublisher(settings, "home", outbox, lambda _: None)
        async with running(publisher), listen_all(broker.port) as home_assistant:
            publisher.announce([KITCHEN])
            await home_assistant.until(lambda seen: seen.of("home/status"))
            await until(
                lambda: publisher._announced._before_birth == {config} and not publisher._tasks
            )
            for births in (1, 2):
                await settled(broker, publisher, home_assistant)
                before = len(home_assistant.of("langidd_home--kitchen/config"))
                count = len(home_assistant.of(config))
                await send(broker, "homeassistant/status", "online")
                await home_assistant.until(
                    lambda seen, before=before: len(seen.of("--kitchen/config")) > before
                )
                await settled(broker, publisher, home_assistant)
                if births == 1:
                    await home_assistant.until(lambda seen, n=count: len(seen.of(config)) > n)
                    assert home_assistant.of(config)[-1].payload == ""
                    await until(lambda: not publisher._announced._after_birth)
                else:  # once is enough
                    assert len(home_assistant.of(config)) == count
        await outbox.close()
        outbox = Outbox(tmp_path / "state")
        assert config not in await outbox.remember(set())
        await outbox.close()


async def test_a_change_of_candidates_sends_no_value_that_the_new_options_lack(
    tmp_path: Path,
) -> None:
    async with Mosquitto(tmp_path) as broker:
        settings = MqttSettings(host="127.0.0.1", port=broker.port)
        publisher = MqttPublisher(settings, "home", None, lambda _: None)
        async with running(publisher), listen_all(broker.port) as home_assistant:
            for candidates in (("uz", "ru", "en"), ("ru", "en"), ("en",), ("uz", "en")):
                publisher.announce([SourceAnnouncement("Kitchen", candidates)])
                for language in candidates:
                    publisher.decision(decision(language=language))
                    await asyncio.sleep(0.02)
            await send(broker, "homeassistant/status", "online")
            await until(lambda: not publisher._retained.waiting.is_set())
            await home_assistant.until(
                lambda seen: seen.of("/language") and seen.of("/language")[-1].payload == "en"
            )
        options: set[str] = set()
        value = "zxx"
        for each in home_assistant.messages:
            if each.topic.endswith("--kitchen/config"):
                options = set(each.json["components"]["language"]["options"])
            elif each.topic.endswith("/language"):
                value = each.payload
            assert not options or value in options
