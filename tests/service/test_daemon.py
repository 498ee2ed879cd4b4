"""The whole service as a process, on real speech, seen by clients that are not ours."""

from __future__ import annotations

import json
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import jsonschema
import pytest

from langidd.config import Settings
from langidd.errors import BrokerError
from langidd.publish import schemas
from langidd.service.daemon import Daemon
from tests.conftest import DEMO_RECORDING
from tests.support.fault_proxy import FaultProxy
from tests.support.langidd_process import Service
from tests.support.mosquitto_process import Listener, Mosquitto, listen_all
from tests.support.rtsp_process import rtsp_server

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "s3cret/pass"  # noqa: S105 - to be searched for in everything that comes out
UZBEK = "uz/clips/uz_telegram-uz_00031.ogg"
RUSSIAN = "ru/clips/ru_clips-ru_00003.ogg"
ENGLISH = "en/clips/en_watson-stt-samples_00001.ogg"


def _languages(listener: Listener, source: str) -> list[str]:
    """What a subscriber read of a source, without what is no language."""
    said = [each.payload for each in listener.of(f"/{source}/language")]
    return [language for language in said if language not in {"und", "zxx", ""}]


async def test_two_cameras_and_a_file_at_once(speech: Path, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        cameras = stack.enter_context(
            rtsp_server(
                {"one": f"{speech / UZBEK}:aac", "two": f"{speech / RUSSIAN}:opus+h264"},
                "--user",
                f"admin:{PASSWORD}",
            )
        )
        broker = await stack.enter_async_context(Mosquitto(tmp_path))
        listener = await stack.enter_async_context(listen_all(broker.port))
        (tmp_path / "camera.password").write_text(PASSWORD + "\n")
        service = await stack.enter_async_context(
            Service(
                tmp_path,
                f"""
                node = "hall"
                state_directory = "{tmp_path}"
                [mqtt]
                host = "127.0.0.1"
                port = {broker.port}
                [[sources]]
                name = "Gate"
                rtsp = "{cameras.url("one", "admin")}"
                password_file = "{tmp_path / "camera.password"}"
                [[sources]]
                name = "Платформа 2"
                rtsp = "{cameras.url("two", "admin")}"
                password_file = "{tmp_path / "camera.password"}"
                [[sources]]
                name = "radio"
                file = "{speech / ENGLISH}"
                realtime = true
                """,
            )
        )
        await service.ready()
        names = ["gate", "platforma-2", "radio"]
        await listener.until(lambda heard: all(_languages(heard, name) for name in names))
        assert [_languages(listener, name)[0] for name in names] == ["uz", "ru", "en"]

        status = await service.end()

        assert status == 0, "\n".join(service.log)
        await listener.until(lambda heard: heard.of("hall/status")[-1].payload == "offline")
        assert listener.of("hall/status")[0].payload == "online"
        for name in names:
            assert listener.of(f"{name}/availability")[-1].payload == "offline"
            states = listener.of(f"{name}/state")
            jsonschema.validate(states[-1].json, schemas.load("state"))
            for event in listener.of(f"{name}/event"):
                jsonschema.validate(event.json, schemas.load("event"))
        everything = "\n".join([*service.log, *service.told, *map(str, listener.messages)])
        assert PASSWORD not in everything
        assert "s3cret" not in everything


async def test_an_unreadable_source_disturbs_no_other_and_a_reload_puts_it_right(
    speech: Path, tmp_path: Path
) -> None:
    def config(camera: str, more: str = "") -> str:
        return f"""
        node = "hall"
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        [[sources]]
        name = "loop"
        file = "{speech / UZBEK}"
        realtime = true
        loop = true
        [[sources]]
        name = "camera"
        {camera}
        {more}
        """

    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(tmp_path))
        listener = await stack.enter_async_context(listen_all(broker.port))
        service = await stack.enter_async_context(
            Service(tmp_path, config('rtsp = "rtsp://127.0.0.1:9/none"'))
        )
        await service.ready()
        await listener.until(lambda heard: "uz" in _languages(heard, "loop"))
        assert {each.payload for each in listener.of("camera/availability")} == {"offline"}

        service.config.write_text("[mqtt\n")
        service.process.send_signal(signal.SIGHUP)
        await service.logged("the configuration stays as it was")

        online = len(
            [each for each in listener.of("loop/availability") if each.payload == "online"]
        )
        service.config.write_text(config(f'file = "{speech / ENGLISH}"', "realtime = true"))
        service.process.send_signal(signal.SIGHUP)
        await listener.until(lambda heard: "en" in _languages(heard, "camera"))
        assert any("RELOADING=1" in told and "MONOTONIC_USEC=" in told for told in service.told)
        # The source that did not change was not touched.
        assert online == len(
            [each for each in listener.of("loop/availability") if each.payload == "online"]
        )
        assert await service.end(signal.SIGINT) == 0


async def test_a_reload_that_changes_the_only_source_is_no_end(
    speech: Path, tmp_path: Path
) -> None:
    def config(preset: str) -> str:
        return f"""
        node = "hall"
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        [[sources]]
        name = "loop"
        file = "{speech / UZBEK}"
        realtime = true
        loop = true
        preset = "{preset}"
        """

    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(tmp_path))
        listener = await stack.enter_async_context(listen_all(broker.port))
        service = await stack.enter_async_context(Service(tmp_path, config("balanced")))
        await service.ready()
        await listener.until(lambda heard: "uz" in _languages(heard, "loop"))
        before = len(listener.of("loop/state"))

        service.config.write_text(config("fast"))
        service.process.send_signal(signal.SIGHUP)

        await service.logged("the configuration was read again")
        await listener.until(lambda heard: len(heard.of("loop/state")) > before + 1)
        assert service.process.returncode is None
        assert await service.end() == 0


async def test_the_same_file_twice_gives_the_same_events(speech: Path, tmp_path: Path) -> None:
    runs = []
    for number in range(2):
        place = tmp_path / str(number)
        place.mkdir()
        async with Mosquitto(place) as broker, listen_all(broker.port) as listener:
            config = f"""
            node = "hall"
            [mqtt]
            host = "127.0.0.1"
            port = {broker.port}
            [[sources]]
            name = "a"
            file = "{speech / UZBEK}"
            [[sources]]
            name = "b"
            file = "{speech / ENGLISH}"
            """
            async with Service(place, config) as service:
                await listener.until(
                    lambda heard: any(each.payload == "offline" for each in heard.of("hall/status"))
                )
                await service.process.wait()
            events: dict[str, list[str]] = {"a": [], "b": []}
            for each in listener.of("/event"):
                event = each.json
                for volatile in ("id", "sequence", "published_at", "since", "decided_at"):
                    event.pop(volatile, None)
                events[each.topic.split("/")[2]].append(json.dumps(event, sort_keys=True))
            runs.append(events)
    assert runs[0] == runs[1]
    assert all(runs[0].values())


@pytest.mark.parametrize("durable", [True, False])
async def test_a_file_whose_events_no_broker_takes_is_no_success(
    stock_model: Path, tmp_path: Path, *, durable: bool
) -> None:
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker")
    settings = Settings.model_validate(
        {
            "node": "hall",
            "state_directory": str(tmp_path) if durable else None,
            "model": {"path": str(stock_model), "context": "trimmed"},
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
            "sources": [{"name": "radio", "file": str(DEMO_RECORDING)}],
        }
    )
    with pytest.raises(BrokerError) as raised:
        await Daemon(settings, delivery_s=0.2).run()
    text = str(raised.value)
    assert f"127.0.0.1:{broker.port}" in text
    if not durable:
        assert "events are lost" in text
        return
    assert f"events wait in {tmp_path}" in text
    waiting = int(text.rpartition(": ")[2].partition(" ")[0])
    async with broker, listen_all(broker.port) as listener:
        # They go out at the next start, before and beside those that it makes itself.
        await Daemon(settings).run()
        await listener.until(lambda heard: len(heard.of("radio/event")) >= 2 * waiting)


async def test_the_service_waits_for_its_broker_rather_than_play_its_files_again(
    stock_model: Path, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(tmp_path))
        listener = await stack.enter_async_context(listen_all(broker.port))
        proxy = await stack.enter_async_context(FaultProxy(broker.port))
        proxy.refuse()
        service = await stack.enter_async_context(
            Service(
                tmp_path,
                f"""
                node = "hall"
                [model]
                path = "{stock_model}"
                context = "trimmed"
                [mqtt]
                host = "127.0.0.1"
                port = {proxy.port}
                [[sources]]
                name = "radio"
                file = "{DEMO_RECORDING}"
                """,
            )
        )
        await service.logged("played to its end")
        await proxy.heal()
        await listener.until(lambda heard: heard.of("radio/event"))
        assert await service.process.wait() == 0, service.log
