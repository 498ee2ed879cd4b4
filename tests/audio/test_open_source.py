"""From the settings to the source: every kind, with what it is told."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from langidd.audio import check_source, microphone, open_source, supervise
from langidd.audio.fifo import FifoSource
from langidd.audio.file import FileSource
from langidd.audio.microphone import Microphone, MicrophoneSource
from langidd.audio.rtsp import RtspSource
from langidd.audio.stdin import StdinSource
from langidd.config import SourceSettings
from langidd.errors import SourceError
from tests.conftest import require
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


def test_a_pipe_with_a_name_is_no_file(tmp_path: Path):
    path = tmp_path / "radio.fifo"
    os.mkfifo(path)
    source = open_source(SourceSettings.model_validate({"name": "Radio", "file": str(path)}))
    assert isinstance(source, FifoSource)
    for key in ("loop", "realtime"):
        settings = SourceSettings.model_validate({"name": "Radio", "file": str(path), key: True})
        with pytest.raises(SourceError, match=f"is a pipe, for which {key} has no meaning"):
            open_source(settings)


def test_a_kind_is_imported_only_where_it_is_wanted():
    code = """
import sys
from langidd.audio import open_source
from langidd.config import SourceSettings
open_source(SourceSettings(name="x", device=0))
assert "langidd.audio.microphone" in sys.modules
assert "av" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


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


def complaint(**settings: object) -> str:
    with pytest.raises(SourceError) as caught:
        check_source(SourceSettings.model_validate({"name": "x", **settings}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_check_finds_what_is_not_there_without_listening(clip: Path, tmp_path: Path):
    check_source(SourceSettings.model_validate({"name": "x", "file": str(clip)}))
    check_source(SourceSettings.model_validate({"name": "x", "rtsp": "rtsp://camera/x"}))
    assert complaint(file=str(tmp_path / "none.wav")).endswith("none.wav: no such file")
    assert complaint(file=str(tmp_path)).endswith("is a directory")
    empty = tmp_path / "empty.wav"
    empty.touch()
    assert complaint(file=str(empty)).endswith("is empty")
    assert complaint(file=str(empty / "x.wav")).endswith("cannot be read: Not a directory")
    assert "is a device or a socket" in complaint(file="/dev/zero")
    assert complaint(file=str(tmp_path / "two\nlines")).endswith("lines: no such file")


def test_a_check_of_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refused)  # root, who may run this, reads everything
    assert complaint(file=str(tmp_path / "x.wav")).endswith("permission denied")


def test_a_check_of_a_terminal(monkeypatch: pytest.MonkeyPatch):
    master, terminal = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert "is a terminal; give it sound" in complaint(file="-")
    os.close(master)


def test_a_check_says_which_microphones_there_are(monkeypatch: pytest.MonkeyPatch):
    require("portaudio")
    there = [Microphone(3, "USB Audio", "ALSA", 1, 48e3)]
    monkeypatch.setattr(microphone, "list_microphones", lambda: there)
    check_source(SourceSettings.model_validate({"name": "x", "device": 3}))
    check_source(SourceSettings.model_validate({"name": "x", "device": "usb"}))
    assert complaint(device=99) == (
        "microphone 99: there is no such microphone; there is 3 'USB Audio' "
        "(langidd devices lists them)"
    )
    monkeypatch.setattr(microphone, "list_microphones", list)
    assert "there is no microphone on this machine" in complaint(device="usb")
