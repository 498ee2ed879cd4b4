"""From the settings to the source: every kind, with what it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from langidd.audio import open_source, supervise
from langidd.audio.file import FileSource
from langidd.audio.microphone import MicrophoneSource
from langidd.audio.rtsp import RtspSource
from langidd.audio.stdin import StdinSource
from langidd.config import SourceSettings
from langidd.errors import SourceError
from tests.support.rtsp_process import rtsp_server

if TYPE_CHECKING:
    from pathlib import Path

    from langidd.types import Health


@pytest.fixture
def clip(speech: Path) -> Path:
    return speech / "uz" / "clips" / "uz_telegram-uz_00001.ogg"


@pytest.mark.parametrize(
    ("settings", "kind", "live"),
    [
        ({"device": "USB Audio"}, MicrophoneSource, True),
        ({"device": 0}, MicrophoneSource, True),
        ({"rtsp": "rtsp://camera/x"}, RtspSource, True),
        ({"file": "-", "sample_rate": 8_000, "channels": 2}, StdinSource, False),
        ({"file": "x.wav"}, FileSource, False),
        ({"file": "x.wav", "realtime": True, "loop": True}, FileSource, True),
    ],
)
def test_each_kind_of_settings_opens_its_kind_of_source(
    settings: dict[str, object], kind: type, *, live: bool
):
    source = open_source(SourceSettings.model_validate({"name": "Hall", **settings}))
    assert isinstance(source, kind)
    assert source.name == "Hall"
    assert source.live is live


async def test_a_camera_s_password_reaches_the_camera_and_nothing_else(clip: Path, tmp_path: Path):
    secret = tmp_path / "password"
    secret.write_text("s3cr%t @/\n")
    with rtsp_server({"cam": f"{clip}:mulaw"}, "--user", "admin:s3cr%t @/") as server:
        health: list[Health] = []
        for login in (
            {"username": "admin", "password_file": str(secret)},
            {"username": "admin", "password": "s3cr%t @/"},
        ):
            settings = SourceSettings.model_validate(
                {"name": "cam", "rtsp": server.url("cam"), **login}
            )
            chunks = supervise(settings, health.append).chunks()
            async with asyncio.timeout(30):
                await anext(chunks)
            await chunks.aclose()
        assert [one.state for one in health] == ["connecting", "live"] * 2
        assert "s3cr" not in repr(health)


async def test_a_file_ends_and_a_missing_one_is_an_error_not_a_wait(clip: Path, tmp_path: Path):
    health: list[Health] = []
    settings = SourceSettings.model_validate({"name": "clip", "file": str(clip)})
    assert [chunk async for chunk in supervise(settings, health.append).chunks()]
    assert health[-1].state == "ended"
    settings = SourceSettings.model_validate(
        {"name": "none", "file": str(tmp_path / "none.wav"), "realtime": True}
    )
    with pytest.raises(SourceError, match="no such file"):
        await anext(supervise(settings, health.append).chunks())
    assert health[-1].state == "ended"
    assert "no such file" in health[-1].detail
