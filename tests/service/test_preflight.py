"""What is tried before the service starts: files, microphones, the state directory, the port."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from langidd.config import Settings, SourceSettings
from langidd.errors import SourceError
from langidd.observability.http import Endpoint
from langidd.observability.metrics import Metrics
from langidd.service.daemon import Daemon
from langidd.service.preflight import check_all, check_sources
from tests.conftest import DEMO_RECORDING
from tests.support.mosquitto_process import free_port

if TYPE_CHECKING:
    from pathlib import Path


def file(path: Path) -> SourceSettings:
    return SourceSettings(name=path.name, file=path)


async def test_a_file_that_is_not_there_is_named_before_a_model_is_loaded(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "model": {"path": str(tmp_path / "no-model")},
            "sources": [{"name": "gone", "file": str(tmp_path / "gone.wav")}],
        }
    )
    with pytest.raises(SourceError, match=r"gone\.wav: no such file"):
        await Daemon(settings, publish=False).run()


async def test_a_directory_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="directory"):
        await check_sources([file(tmp_path)], needs_all=True)


async def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer, for ever
    await check_sources([file(tmp_path / "pipe")], needs_all=True)


async def test_one_file_that_is_missing_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [file(tmp_path / "gone.wav"), file(DEMO_RECORDING)]
    await check_sources(sources, needs_all=False)
    assert "source gone.wav: " in caplog.text
    assert "goes on without it" in caplog.text
    with pytest.raises(SourceError, match="gone"):
        await check_sources(sources, needs_all=True)


async def test_a_microphone_that_is_missing_may_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    microphone = SourceSettings(name="desk", device=98_765)
    await check_sources([microphone], needs_all=False)
    assert "source desk: microphone" in caplog.text
    assert "keeps trying" in caplog.text
    with pytest.raises(SourceError, match="microphone"):
        await check_sources([microphone], needs_all=True)


async def checked(settings: Settings) -> dict[str, str]:
    """What `langidd check` finds wrong, by part; an empty text where all is well."""
    told: dict[str, str] = {}

    def tell(part: str, trouble: str | None, _detail: str) -> None:
        told[part] = trouble or ""

    await check_all(settings, tell, timeout_s=60.0)
    return told


async def test_each_part_gets_a_line_of_its_own(stock_model: Path, tmp_path: Path) -> None:
    port = free_port()
    told = await checked(
        Settings.model_validate(
            {
                "state_directory": str(tmp_path),
                "model": {"path": str(stock_model)},
                "http": {"port": port},
                "sources": [
                    {"name": "good", "file": str(DEMO_RECORDING)},
                    {"name": "bad", "file": str(tmp_path / "gone.wav")},
                ],
            }
        )
    )
    assert {part for part, trouble in told.items() if trouble} == {"source bad"}
    assert {"model", "broker", "state", "files", "http", "source good"} <= told.keys()


async def test_a_port_that_somebody_else_has_is_named_but_not_our_own(
    stock_model: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = {"model": {"path": str(stock_model)}, "http": {"port": port}}
        told = await checked(Settings.model_validate(settings))
        assert f"cannot listen on 127.0.0.1:{port}" in told["http"]
    endpoint = Endpoint("127.0.0.1", 0, Metrics().registry, {"/livez": lambda: (True, {"live": 1})})
    settings["http"]["port"] = endpoint.port
    told = await checked(Settings.model_validate(settings))
    endpoint.close()
    assert told["http"] == ""


async def test_a_state_directory_that_is_full_or_read_only_is_named(
    stock_model: Path, tmp_path: Path
) -> None:
    from tests.support.small_disk import small_disk

    settings = {"model": {"path": str(stock_model)}, "state_directory": str(tmp_path)}
    with small_disk(tmp_path) as disk:
        disk.fill()
        assert "No space left" in (await checked(Settings.model_validate(settings)))["state"]
        disk.empty()
        disk.read_only()
        assert "Read-only" in (await checked(Settings.model_validate(settings)))["state"]
