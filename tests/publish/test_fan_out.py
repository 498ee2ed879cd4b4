from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from langidd.config import MqttSettings, Settings
from langidd.errors import ConfigError
from langidd.publish.base import DeliveryState, SourceAnnouncement
from langidd.publish.fan_out import FanOut
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.publish.registry import open_publishers
from langidd.types import Health
from tests.support.mosquitto_process import Mosquitto, decision, listen_all, running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from langidd.publish.base import Publisher
    from langidd.types import Decision, Scores


class Recorder:
    """A way out that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.delivery = DeliveryState(
            connected=True, published=3, waiting=1, dropped=0, refused=0, durable=True, detail=""
        )
        self._end = asyncio.Event()

    def announce(self, sources: Sequence[SourceAnnouncement]) -> None:
        self.taken.extend(sources)

    def decision(self, decision: Decision) -> None:
        self.taken.append(decision)

    def scores(self, scores: Scores) -> None:
        self.taken.append(scores)

    def health(self, health: Health) -> None:
        self.taken.append(health)

    async def run(self) -> None:
        await self._end.wait()

    async def close(self) -> None:
        self._end.set()


class Broken(Recorder):
    def decision(self, decision: Decision) -> None:
        raise RuntimeError(f"no decisions about {decision.source}")

    async def close(self) -> None:
        await super().close()
        raise RuntimeError("no end")


async def test_what_one_publisher_raises_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    before, after = Recorder(), Recorder()
    several: Publisher = FanOut([before, Broken(), after])
    async with asyncio.timeout(5), running(several):
        assert several.delivery.connected
        for number in range(3):
            several.decision(decision(number))
        several.health(Health("Kitchen", "live", 1.0))
    expected = [decision(0), decision(1), decision(2), Health("Kitchen", "live", 1.0)]
    assert before.taken == after.taken == expected
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert errors == [
        "Broken could not take a decision; the others have it",
        "Broken did not close: RuntimeError('no end')",
    ]
    after.delivery = DeliveryState(
        connected=False, published=1, waiting=9, dropped=2, refused=0, durable=False, detail="gone"
    )
    assert several.delivery == DeliveryState(
        connected=False, published=7, waiting=11, dropped=2, refused=0, durable=False, detail="gone"
    )


async def test_a_name_that_cannot_be_published_is_refused() -> None:
    settings = MqttSettings(host="127.0.0.1", port=1)
    several = FanOut([Recorder(), MqttPublisher(settings, "home", None, lambda _: None)])
    with pytest.raises(ConfigError, match="share the topic"):
        several.announce([SourceAnnouncement("Hall"), SourceAnnouncement("hall")])


async def test_the_settings_say_which_publishers_there_are(tmp_path: Path) -> None:
    gauges: dict[str, Callable[[], float]] = {}

    def gauge(name: str, _text: str, read: Callable[[], float]) -> None:
        gauges[name] = read

    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        settings = Settings(
            node="home",
            state_directory=tmp_path / "state",
            mqtt=MqttSettings(host="127.0.0.1", port=broker.port),
        )
        async with AsyncExitStack() as stack:
            several = await open_publishers(settings, stack, gauge)
            async with running(several):
                several.announce([SourceAnnouncement("Kitchen", ("uz", "ru"))])
                several.decision(decision())
                await listener.until(lambda seen: seen.of("/event"))
                assert several.delivery.connected
                assert gauges["mqtt_connected"]() == gauges["outbox_durable"]() == 1
        assert gauges["outbox_events"]() == gauges["outbox_durable"]() == 0
        assert gauges["mqtt_published"]() > 5
