"""The publisher against a real mosquitto, as a client that is not ours sees it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
from typing import TYPE_CHECKING, Any, Literal

import jsonschema
import numpy as np
import pytest

from langidd.config import MqttSettings
from langidd.errors import BrokerError, ConfigError
from langidd.publish import schemas
from langidd.publish.base import SourceAnnouncement
from langidd.publish.mqtt import connection, delivery, inbound
from langidd.publish.mqtt.probe import probe
from langidd.publish.mqtt.publisher import MqttPublisher
from langidd.publish.outbox import Outbox
from langidd.retry import RetryPolicy
from langidd.types import Health, Scores, Span
from tests.support.fault_proxy import FaultProxy
from tests.support.mosquitto_process import (
    Listener,
    Mosquitto,
    Received,
    decision,
    listen_all,
    listen_events,
    running,
    send,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

Protocol = Literal["5", "3.1.1"]
BOTH = pytest.mark.parametrize("protocol", ["5", "3.1.1"])
KITCHEN = SourceAnnouncement("Kitchen", ("uz", "ru", "en"), "rtsp")
HALL = SourceAnnouncement("Зал", ("uz", "ru", "en"), "microphone")

SCORES = Scores(Span("Kitchen", 1, 1.0, 5.0, 1.0, 1), np.array([2.2, 0.0], "f"), {"uz": 0.9})


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults last seconds in life and fractions of them here."""
    monkeypatch.setattr(delivery, "RETRY", RetryPolicy(first_s=0.05, longest_s=0.2))
    monkeypatch.setattr(connection, "ANSWER_S", 2.0)
    monkeypatch.setattr(inbound, "REPEAT_S", 0.2)


def settings(broker: Mosquitto, **more: Any) -> MqttSettings:
    return MqttSettings(**{"host": "127.0.0.1", "port": broker.port, **more})


def publisher_to(
    broker: Mosquitto, outbox: Outbox | None = None, node: str = "home", **more: Any
) -> tuple[MqttPublisher, list[str]]:
    states: list[str] = []
    return MqttPublisher(settings(broker, **more), node, outbox, states.append), states


def live(source: str = "Kitchen") -> Health:
    return Health(source, "live", 1_790_000_000.0)


def check(seen: Received) -> None:
    """What was published fits the schema that is documented for its topic."""
    leaf = seen.topic.rpartition("/")[2]
    name = {"status": "availability", "config": "discovery"}.get(leaf, leaf)
    schema = schemas.load(name)
    content = seen.payload if schema["type"] == "string" else json.loads(seen.payload)
    jsonschema.Draft202012Validator(schema).validate(content)


@BOTH
async def test_what_is_published_is_what_is_documented(tmp_path: Path, protocol: Protocol) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        publisher, states = publisher_to(broker, protocol=protocol, windows=True)
        async with running(publisher):
            await until(lambda: publisher.delivery.connected)
            publisher.announce([KITCHEN, HALL])
            publisher.health(live())
            publisher.decision(decision())
            publisher.scores(SCORES)
            publisher.decision(decision(1, reason="pause"))
            await listener.until(lambda seen: len(seen.of("/event")) == 2)
            await listener.until(lambda seen: seen.of("/window"))
        await listener.until(lambda seen: seen.of("/home/status")[-1].payload == "offline")
        for each in listener.messages:
            check(each)
            assert each.qos == (0 if each.topic.endswith("/window") else 1)
        change, pause = (each.json for each in listener.of("/kitchen/event"))
        assert (change["type"], change["sequence"]) == ("language", 1)
        assert (pause["type"], pause["sequence"]) == ("pause", 2)
        assert [each.payload for each in listener.of("/kitchen/language")][-1] == "uz"
        assert listener.of("/kitchen/availability")[-1].payload == "offline"
        assert {each.payload for each in listener.of("/zal/availability")} == {"offline"}
        assert {each.payload for each in listener.of("/zal/language")} == {"zxx"}
        assert states == ["connecting", "connected", "closed"]

        async with listen_all(broker.port) as late:
            await late.until(lambda seen: seen.of("/home/status"))
            await late.until(lambda seen: len(seen.of("/state")) == 2)
            assert all(each.retained for each in late.messages)
            assert not late.of("/event")
            assert not late.of("/window")
            assert len(late.of("/config")) == 3


async def test_online_is_said_only_while_a_source_gives_audio(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        publisher, _ = publisher_to(broker)
        async with running(publisher):
            publisher.announce([KITCHEN])
            for state in ("connecting", "live", "stalled", "live", "waiting", "live", "ended"):
                publisher.health(Health("Kitchen", state, 1_790_000_000.0, "why"))  # type: ignore[arg-type]
                expected = "online" if state == "live" else "offline"
                await listener.until(
                    lambda seen, state=state: (
                        seen.of("/state") and seen.of("/state")[-1].json["health"]["state"] == state
                    )
                )
                await listener.until(
                    lambda seen, expected=expected: seen.of("/availability")[-1].payload == expected
                )
        said = [each.payload for each in listener.of("/availability")]
        assert said == ["offline", "online"] * 3 + ["offline"]


async def test_state_follows_changes_pauses_and_sometimes_confidence(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        publisher, _ = publisher_to(broker)
        async with running(publisher):
            publisher.decision(decision(0))
            for second in range(1, 20):
                # Rises steadily; the broker hears of it every five seconds of capture time.
                publisher.decision(
                    dataclasses.replace(
                        decision(second, reason="update"), confidence=0.3 + 0.03 * second
                    )
                )
                await until(lambda: not publisher._retained.waiting.is_set())
                await asyncio.sleep(0.02)
            publisher.decision(decision(20, reason="pause"))
            await listener.until(lambda seen: len(seen.of("/event")) == 2)
            await listener.until(lambda seen: seen.of("/state")[-1].json["reason"] == "pause")
        reasons = [each.json["reason"] for each in listener.of("/state")]
        first = reasons.index("change")
        assert reasons[first:] == ["change", "update", "update", "update", "pause"]
        assert [each.payload for each in listener.of("/language")][-1:] == ["uz"]


async def test_windows_are_published_only_when_asked_for(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        publisher, _ = publisher_to(broker)
        async with running(publisher):
            await until(lambda: publisher.delivery.connected)
            publisher.scores(SCORES)
            publisher.decision(decision())
            await listener.until(lambda seen: seen.of("/event"))
        assert not listener.of("/window")
        assert publisher.windows_dropped == 0


@BOTH
async def test_a_publisher_that_dies_is_offline_by_its_last_will(
    tmp_path: Path, protocol: Protocol
) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        publisher, _ = publisher_to(broker, protocol=protocol)
        task = asyncio.create_task(publisher.run())
        await listener.until(lambda seen: seen.of("/home/status"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.until(lambda seen: seen.of("/home/status")[-1].payload == "offline")


async def test_the_first_connection_is_tried_until_the_broker_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path)
    publisher, states = publisher_to(broker)
    async with running(publisher):
        publisher.announce([KITCHEN])
        publisher.decision(decision())
        await until(lambda: sum(state.startswith("waiting") for state in states) > 3)
        assert publisher.delivery.waiting == 1
        assert "Connection refused" in publisher.delivery.detail
        async with broker, listen_all(broker.port) as listener:
            await until(lambda: publisher.delivery.connected)
            await listener.until(lambda seen: seen.of("/home/status"))
            await until(lambda: publisher.delivery.waiting == 0)
    warnings = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warnings) <= 2  # once for the broker that was not there, once for its end


@BOTH
async def test_a_broker_killed_and_restarted_costs_no_event_and_no_order(
    tmp_path: Path, protocol: Protocol
) -> None:
    outbox = Outbox(tmp_path / "state")
    async with (
        Mosquitto(tmp_path) as broker,
        FaultProxy(broker.port) as proxy,
        listen_events(broker.port, "s") as listener,
    ):
        publisher, _ = publisher_to(broker, outbox, protocol=protocol, port=proxy.port)
        async with running(publisher):
            for number in range(60):
                publisher.decision(decision(number))
                if number in {20, 40}:
                    await listener.until(lambda seen: seen.messages)
                    await kill_with_acknowledgements_underway(broker, proxy, listener)
                if number in {30, 50}:
                    before = listener.subscriptions
                    await broker.start()
                    # mosquitto forgot its sessions, too.
                    await listener.until(lambda seen, n=before: seen.subscriptions > n)
                    await proxy.heal()
                    await until(lambda: publisher.delivery.connected)
                await asyncio.sleep(0.01)
            await until(lambda: publisher.delivery.waiting == 0)
            await listener.until(lambda seen: seen.messages[-1].json["sequence"] == 60)
        assert publisher.reconnects >= 2
        assert first_sightings(listener) == list(range(1, 61))
        identifiers = {each.json["id"] for each in listener.messages if each.json["sequence"]}
        assert len(identifiers) == 60
    await outbox.close()


async def kill_with_acknowledgements_underway(
    broker: Mosquitto, proxy: FaultProxy, listener: Listener
) -> None:
    """kill -9, after which only what the publisher saw acknowledged is what was seen.

    mosquitto acknowledges an event before it has saved it: killed in between, it loses what
    the publisher rightly took for delivered. So nothing that is acknowledged from here on
    reaches the publisher, and what was acknowledged before has reached the listener.
    """
    proxy.swallow()
    for _ in range(2):  # the second is read after all that the proxy had passed on
        marks = len([each for each in listener.messages if not each.json["sequence"]])
        await send(broker, "langidd/mark/mark/event", '{"sequence": 0, "id": ""}')
        await listener.until(
            lambda seen, n=marks: sum(not each.json["sequence"] for each in seen.messages) > n
        )
    broker.kill()
    proxy.cut()


def first_sightings(listener: Listener) -> list[int]:
    """The events' numbers, each where it was seen first."""
    numbers = (each.json["sequence"] for each in listener.of("/event"))
    return [number for number in dict.fromkeys(numbers) if number]


async def test_a_broker_that_forgot_everything_is_told_again(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        publisher, _ = publisher_to(broker)
        async with running(publisher):
            publisher.announce([KITCHEN, HALL])
            publisher.health(live())
            publisher.decision(decision())
            await until(lambda: publisher.delivery.published >= 10)
            broker.kill()
            await until(lambda: not publisher.delivery.connected)
            await broker.start()
            async with listen_all(broker.port) as listener:
                await listener.until(lambda seen: seen.of("/home/status"))
                await listener.until(lambda seen: seen.of("/kitchen/availability"))
                latest = {each.topic.partition("/")[2]: each.payload for each in listener.messages}
                assert latest["home/status"] == "online"
                assert latest["home/kitchen/availability"] == "online"
                assert latest["home/kitchen/language"] == "uz"
                assert json.loads(latest["home/kitchen/state"])["confidence"] == 0.93
                assert latest["home/zal/availability"] == "offline"
                assert len(listener.of("/config")) == 3


@BOTH
async def test_a_broker_that_hangs_is_left_and_found_again(
    tmp_path: Path, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.5)
    outbox = Outbox(tmp_path / "state")
    async with Mosquitto(tmp_path) as broker, listen_events(broker.port, "s") as listener:
        publisher, states = publisher_to(broker, outbox, protocol=protocol)
        async with running(publisher):
            publisher.decision(decision(0))
            await listener.until(lambda seen: seen.messages)
            broker.signal(signal.SIGSTOP)
            for number in range(1, 30):
                publisher.decision(decision(number))
            # It accepts connections, as the kernel does for it, and says nothing.
            await until(lambda: any("no acknowledgement" in state for state in states))
            await until(lambda: any("no answer to CONNECT" in state for state in states))
            assert publisher.delivery.waiting >= 29
            broker.signal(signal.SIGCONT)
            await listener.until(lambda seen: len(first_sightings(seen)) == 30)
            await until(lambda: publisher.delivery.connected and publisher.delivery.waiting == 0)
            async with listen_all(broker.port) as late:
                # The Last Wills of the abandoned connections do not have the last word.
                await late.until(lambda seen: seen.of("/home/status"))
                await late.until(lambda seen: seen.of("/home/status")[-1].payload == "online")
        assert first_sightings(listener) == list(range(1, 31))
    await outbox.close()


async def test_the_end_does_not_wait_for_a_broker_that_hangs(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        publisher, _ = publisher_to(broker)
        task = asyncio.create_task(publisher.run())
        publisher.announce([KITCHEN])
        await until(lambda: publisher.delivery.published >= 5)
        broker.signal(signal.SIGSTOP)
        publisher.decision(decision())
        async with asyncio.timeout(10):
            await publisher.close()
            await task
        assert publisher.delivery.waiting == 1
        broker.signal(signal.SIGCONT)


async def test_more_events_than_the_outbox_holds_are_counted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "state", rows=50)
    async with Mosquitto(tmp_path) as broker, listen_events(broker.port, "s") as listener:
        publisher, _ = publisher_to(broker, outbox)
        for number in range(200):
            publisher.decision(decision(number))
        await outbox.flush()
        assert (publisher.delivery.waiting, publisher.delivery.dropped) == (50, 150)
        async with running(publisher):
            await listener.until(lambda seen: len(seen.messages) >= 50)
            await until(lambda: publisher.delivery.waiting == 0)
        assert publisher.delivery.dropped == 150
        assert first_sightings(listener) == list(range(151, 201))
    await outbox.close()


async def test_a_wrong_password_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    password_file = tmp_path / "passwords"
    lines = f"allow_anonymous false\npassword_file {password_file}"
    await set_password(password_file, "right-secret")
    async with Mosquitto(tmp_path, lines) as broker:
        wrong = {"username": "langidd", "password": "wrong-secret"}
        publisher, states = publisher_to(broker, **wrong)
        async with running(publisher):
            await until(lambda: sum(state.startswith("refused") for state in states) >= 2)
            refusals = [each for each in caplog.records if each.levelno == logging.ERROR]
            assert len(refusals) == 1
            assert "mqtt.password" in refusals[0].getMessage()
            with pytest.raises(BrokerError, match=r"mqtt\.password"):
                await probe(settings(broker, **wrong), "home")
            await set_password(password_file, "wrong-secret")
            broker.signal(signal.SIGHUP)
            await until(lambda: publisher.delivery.connected)
        await probe(settings(broker, **wrong), "home")
    assert "wrong-secret" not in caplog.text + "".join(states) + publisher.delivery.detail


async def set_password(path: Path, password: str) -> None:
    command = ["mosquitto_passwd", "-b", "-c", str(path), "langidd", password]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def test_events_that_may_not_be_published_wait_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "rules"
    rules.write_text(
        "topic readwrite langidd/home/kitchen/state\ntopic readwrite langidd/home/status\n"
    )
    lines = f"allow_anonymous true\nacl_file {rules}"
    async with Mosquitto(tmp_path, lines) as broker:
        publisher, _ = publisher_to(broker, discovery=False)
        async with running(publisher):
            for number in range(3):
                publisher.decision(decision(number))
            await until(lambda: publisher.delivery.refused >= 6)
            assert publisher.delivery.connected
            assert publisher.delivery.waiting == 3
            assert caplog.text.count("refuses messages to langidd/home/kitchen/event") == 1
            rules.write_text("topic readwrite #\n")
            broker.signal(signal.SIGHUP)
            async with listen_events(broker.port, "s") as listener:
                await listener.until(lambda seen: len(first_sightings(seen)) == 3)
            assert first_sightings(listener) == [1, 2, 3]


async def test_home_assistants_birth_and_a_false_offline_are_answered(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, listen_all(broker.port) as listener:
        publisher, _ = publisher_to(broker)
        async with running(publisher):
            publisher.announce([KITCHEN])
            await listener.until(lambda seen: seen.of("/home/status"))
            before = len(listener.of("langidd_home--kitchen/config"))
            await send(broker, "homeassistant/status", "online")
            await listener.until(lambda seen: len(seen.of("langidd_home--kitchen/config")) > before)
            await listener.until(lambda seen: len(seen.of("/kitchen/state")) > 1)
            await send(broker, "langidd/home/status", "offline", "-r")
            await listener.until(
                lambda seen: (
                    [each.payload for each in seen.of("/home/status")][-2:] == ["offline", "online"]
                )
            )
            await send(broker, "homeassistant/status", "offline")
            await until(lambda: publisher._inbound.ignored == 1)


async def test_a_source_that_is_gone_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        outbox = Outbox(tmp_path / "state")
        publisher, _ = publisher_to(broker, outbox)
        async with running(publisher):
            publisher.announce([KITCHEN, HALL, SourceAnnouncement("Porch")])
            await until(lambda: publisher.delivery.published >= 14)
            publisher.announce([KITCHEN, HALL])
            await until(lambda: publisher.delivery.published >= 18)
            async with listen_all(broker.port) as listener:
                await listener.until(lambda seen: seen.of("/home/status"))
                await listener.until(lambda seen: len(seen.of("/state")) >= 2)
                assert not [
                    each for each in listener.messages if "porch" in each.topic and each.payload
                ]
        await outbox.close()

        # The hall leaves the configuration while the service is not running.
        outbox = Outbox(tmp_path / "state")
        publisher, _ = publisher_to(broker, outbox)
        async with running(publisher), listen_all(broker.port) as listener:
            publisher.announce([KITCHEN])
            gone = ("zal/availability", "zal/language", "zal/state", "langidd_home--zal/config")
            for end in gone:
                await listener.until(
                    lambda seen, end=end: seen.of(end) and not seen.of(end)[-1].payload
                )
        await outbox.close()
        async with listen_all(broker.port) as late:
            await late.until(lambda seen: seen.of("/kitchen/state"))
            await late.until(lambda seen: seen.of("/home/status"))
            assert not [each for each in late.messages if "zal" in each.topic]


async def test_two_publishers_of_one_name_do_not_spin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RETRY", RetryPolicy(first_s=0.2, longest_s=60.0))
    async with Mosquitto(tmp_path) as broker:
        first, _ = publisher_to(broker)
        second, _ = publisher_to(broker)
        async with running(first), running(second):
            await until(lambda: first.reconnects + second.reconnects >= 2)
            await asyncio.sleep(2)
            # 0.2, 0.4, 0.8, 1.6 s: each waits longer, though each connection succeeded.
            assert first.reconnects + second.reconnects <= 12


async def test_sources_that_would_share_a_topic_are_refused(tmp_path: Path) -> None:
    publisher, _ = publisher_to(Mosquitto(tmp_path))
    with pytest.raises(ConfigError, match="share the topic zal"):
        publisher.announce([HALL, SourceAnnouncement("zal")])
    await publisher.close()


async def test_a_probe_says_what_is_wrong(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    with pytest.raises(BrokerError, match=rf"127\.0\.0\.1:{broker.port}: .*refused"):
        await probe(settings(broker), "home")
    with pytest.raises(BrokerError, match=r"no-such-host\.invalid:1883"):
        await probe(MqttSettings(host="no-such-host.invalid"), "home")
    async with broker, listen_all(broker.port) as listener:
        await probe(settings(broker), "home")
        await probe(settings(broker, protocol="3.1.1"), "home")
        await send(broker, "end", "x")
        await listener.until(lambda seen: seen.of("end"))
        # A service of that name stays what it was to everybody.
        assert not [each for each in listener.messages if each.payload and each.topic != "end"]
        assert not [each for each in listener.messages if each.retained]
    await probe(MqttSettings(), "home")
