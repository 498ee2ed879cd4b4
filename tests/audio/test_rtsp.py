"""Cameras: GStreamer's RTSP server, what goes wrong between it and us, and impostors."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from langidd.audio.file import FileSource
from langidd.audio.rtsp import RtspSource
from langidd.audio.supervisor import SourceTimeouts, SupervisedSource
from langidd.errors import SourceError
from langidd.retry import RetryPolicy
from tests.support.rtsp_process import Proxy, RtspServer, pretender, rtsp_server
from tests.support.scripted_camera import (
    AUDIO,
    VIDEO,
    ScriptedCamera,
    reports_alone,
    sound_that_stops,
)
from tests.support.threads import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from langidd.types import Chunk, Health

PASSWORD = "pa:ss w@rd/#%7"  # noqa: S105 - the test server's
ENCODED = "pa%3Ass%20w%40rd%2F%23%257"


@pytest.fixture(scope="module")
def clip(speech: Path) -> Path:
    return speech / "uz" / "clips" / "uz_telegram-uz_00001.ogg"


@pytest.fixture(scope="module")
def camera(clip: Path) -> Iterator[RtspServer]:
    """Every codec, with and without a picture, and one without sound."""
    streams = {codec: f"{clip}:{codec}" for codec in ("aac", "opus", "mulaw", "alaw", "pcm")}
    streams |= {"both": f"{clip}:aac+h264", "mute": "-:h264"}
    with rtsp_server(streams) as server:
        yield server


@pytest.fixture(scope="module")
def locked(clip: Path) -> Iterator[RtspServer]:
    """One that asks for Digest authentication."""
    with rtsp_server({"cam": f"{clip}:opus"}, "--user", f"admin:{PASSWORD}") as server:
        yield server


async def listen(source: RtspSource, seconds: float) -> list[Chunk]:
    chunks = source.chunks()
    got: list[Chunk] = []
    async with asyncio.timeout(60):
        async for chunk in chunks:
            got.append(chunk)
            if sum(len(one.samples) for one in got) >= seconds * 16_000:
                break
    await chunks.aclose()
    return got


async def error_of(source: RtspSource, *secrets: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(60):
            await anext(source.chunks())
    message = str(caught.value)
    assert "\n" not in message
    assert "127.0.0.1" in message
    for secret in (*secrets, "secret"):
        assert secret not in message
    assert caught.value.__cause__ is None
    return caught.value


def likeness(recorded: np.ndarray, said: np.ndarray) -> float:
    """The best normalised correlation of what was recorded with any part of what was said."""
    size = len(recorded) + len(said)
    product = np.fft.irfft(np.fft.rfft(said, size) * np.conj(np.fft.rfft(recorded, size)), size)
    energy = np.cumsum(np.concatenate([[0.0], np.square(said, dtype=np.float64)]))
    windows = energy[len(recorded) :] - energy[: -len(recorded)]
    scale = np.sqrt(np.maximum(windows, 1e-9) * np.sum(np.square(recorded, dtype=np.float64)))
    return float(np.max(product[: len(windows)] / scale))


@pytest.mark.parametrize("mount", ["aac", "opus", "mulaw", "alaw", "pcm", "both"])
async def test_every_codec_gives_the_speech_that_was_sent(
    camera: RtspServer, clip: Path, mount: str
):
    said = np.concatenate([chunk.samples async for chunk in FileSource("said", clip).chunks()])
    source = RtspSource("cam", camera.url(mount))
    chunks = await listen(source, 1.2)
    recorded = np.concatenate([chunk.samples for chunk in chunks])
    # The recording is played in a loop.
    assert likeness(recorded[1_600:], np.tile(said, 3)) > 0.8
    assert source.counts.damaged == 0
    for one, other in itertools.pairwise(chunks):
        assert not other.gap
        assert other.captured_at == pytest.approx(one.ends_at, abs=0.01)
    assert 0 <= time.time() - chunks[-1].ends_at < 5


async def test_over_udp_too(camera: RtspServer):
    chunks = await listen(RtspSource("cam", camera.url("opus"), transport="udp"), 1.0)
    assert np.abs(np.concatenate([chunk.samples for chunk in chunks])).max() > 0.001


async def test_a_camera_without_sound_says_so(camera: RtspServer):
    error = await error_of(RtspSource("cam", camera.url("mute")))
    assert "has no audio track (only video)" in str(error)
    assert error.permanent


async def test_a_path_that_is_not_there_says_so(camera: RtspServer):
    error = await error_of(RtspSource("cam", camera.url("nowhere", "admin:secret")))
    assert "rtsp://***@127.0.0.1" in str(error)
    assert "no such path" in str(error)


async def test_a_password_in_the_url_or_apart(locked: RtspServer):
    assert await listen(RtspSource("cam", locked.url("cam", f"admin:{ENCODED}")), 0.2)
    apart = RtspSource("cam", locked.url("cam"), username="admin", password=PASSWORD)
    assert await listen(apart, 0.2)


async def test_basic_authentication_too(clip: Path):
    with rtsp_server({"cam": f"{clip}:opus"}, "--basic", "--user", f"admin:{PASSWORD}") as server:
        assert await listen(RtspSource("cam", server.url("cam", f"admin:{ENCODED}")), 0.2)


@pytest.mark.parametrize("login", ["", "admin:secret", f"other:{ENCODED}"])
async def test_a_wrong_password_is_said_without_it(
    locked: RtspServer,
    login: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    error = await error_of(RtspSource("cam", locked.url("cam", login)), PASSWORD, ENCODED)
    assert "refuses the user name or the password" in str(error)
    assert error.permanent
    output = "".join(capfd.readouterr()) + caplog.text
    assert PASSWORD not in output
    assert ENCODED not in output
    assert "secret" not in output


async def test_a_login_too_long_for_ffmpeg_is_said_beforehand():
    with pytest.raises(SourceError, match="too long for FFmpeg"):
        RtspSource("cam", "rtsp://127.0.0.1/x", username="admin", password="п" * 30)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "is no RTSP URL"),
        ("http://127.0.0.1/x", "is no RTSP URL"),
        ("rtsp://a:secret#b@127.0.0.1/x", "has a # in its password; write %23"),
        ("rtsp://::1/x", "IPv6 address without brackets"),
    ],
)
def test_what_is_no_rtsp_url_is_refused(url: str, reason: str):
    with pytest.raises(SourceError, match=reason) as caught:
        RtspSource("cam", url)
    assert caught.value.permanent
    assert "secret" not in str(caught.value)


async def test_an_ipv6_address_stands_in_brackets(clip: Path):
    user = f"admin:{PASSWORD}"
    with rtsp_server({"cam": f"{clip}:opus"}, "--address", "::1", "--user", user) as server:
        url = f"rtsp://admin:{ENCODED}@[::1]:{server.port}/cam"
        assert await listen(RtspSource("cam", url), 0.2)


async def test_nobody_there_and_no_such_host():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = await error_of(RtspSource("cam", f"rtsp://a:secret@127.0.0.1:{port}/x"))
    assert "refuses the connection" in str(error)
    with pytest.raises(SourceError, match=r"there is no host called camera\.invalid"):
        await anext(RtspSource("cam", "rtsp://a:secret@camera.invalid/127.0.0.1").chunks())
    # Nobody can know that this was meant to be a password with a slash in it.
    slash = RtspSource("cam", "rtsp://admin.invalid:12/secret@127.0.0.1/x")
    error = await error_of(slash)
    assert "admin.invalid; a / or ? in a password is written %2F or %3F" in str(error)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4_096)
        if not more:
            raise OSError("the client left")
        data += more
    return data


def _sequence(request: bytes) -> bytes:
    return next(line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq"))


def silent(connection: socket.socket) -> None:
    while connection.recv(4_096):
        pass


def garbage(connection: socket.socket) -> None:
    _request(connection)
    connection.sendall(bytes(range(256)) * 64)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


def web_page(connection: socket.socket) -> None:
    _request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def broken_description(connection: socket.socket) -> None:
    while True:
        request = _request(connection)
        body = b"v=0\r\nm=audio x RTP/AVP\r\na=rtpmap:zz\r\n" if b"DESCRIBE" in request else b""
        connection.sendall(
            b"RTSP/1.0 200 OK\r\n"
            + _sequence(request)
            + b"\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )


def closing(connection: socket.socket) -> None:
    _request(connection)


@pytest.mark.parametrize(
    "impostor", [silent, garbage, endless, web_page, broken_description, closing]
)
async def test_an_impostor_costs_an_error_of_one_line_and_no_thread(
    impostor: Callable[[socket.socket], None],
):
    with pretender(impostor) as port:
        source = RtspSource(
            "cam", f"rtsp://admin:secret@127.0.0.1:{port}/x", open_s=0.6, read_s=0.6
        )
        await error_of(source)
    assert source.counts.hanging == 0


async def test_a_redirect_is_followed(camera: RtspServer):
    def redirect(connection: socket.socket) -> None:
        connection.sendall(
            b"RTSP/1.0 302 Moved\r\n"
            + _sequence(_request(connection))
            + b"\r\nLocation: %s\r\n\r\n" % camera.url("opus").encode()
        )

    with pretender(redirect) as port:
        assert await listen(RtspSource("cam", f"rtsp://127.0.0.1:{port}/x"), 0.2)


async def test_redirects_in_a_circle_end():
    ports: list[int] = []

    def circle(connection: socket.socket) -> None:
        location = b"rtsp://127.0.0.1:%d/x" % ports[0]
        connection.sendall(
            b"RTSP/1.0 302 Moved\r\n"
            + _sequence(_request(connection))
            + b"\r\nLocation: %s\r\n\r\n" % location
        )

    with pretender(circle) as port:
        ports.append(port)
        source = RtspSource("cam", f"rtsp://127.0.0.1:{port}/x", open_s=0.6, read_s=0.6)
        await error_of(source)


async def test_a_camera_whose_sound_stops_while_its_picture_goes_on_holds_no_thread():
    camera = ScriptedCamera(AUDIO + VIDEO, sound_that_stops(100), whole=True)
    with pretender(camera.answer) as port:
        watcher = Watcher(f"rtsp://127.0.0.1:{port}/x")
        listening = asyncio.ensure_future(watcher.run())
        seen = await watcher.until("live")
        seen = await watcher.until("stalled", seen)
        await watcher.until("connecting", seen)
        listening.cancel()
        await asyncio.wait([listening])
        assert await ended("source cam")  # although the camera goes on sending


async def test_a_camera_that_reports_but_sends_no_sound_is_an_error():
    camera = ScriptedCamera(AUDIO, reports_alone(), whole=False)
    with pretender(camera.answer) as port:
        source = RtspSource("cam", f"rtsp://127.0.0.1:{port}/x", open_s=0.6, read_s=0.6)
        error = await error_of(source)
    assert "stopped sending" in str(error)
    assert source.counts.hanging == 0


class Watcher:
    """Listens to a supervised camera, and waits for states and sound."""

    def __init__(self, url: str, *, connect_s: float = 5.0, first_s: float = 0.1) -> None:
        self.health: list[Health] = []
        self.chunks: list[Chunk] = []
        self.news = asyncio.Condition()
        self.camera = RtspSource("cam", url, open_s=2, read_s=30)
        self.source = SupervisedSource(
            "cam",
            lambda: self.camera,
            self.health.append,
            timeouts=SourceTimeouts(stall_s=1.0, connect_s=connect_s),
            retry=RetryPolicy(first_s=first_s),
        )

    async def run(self) -> None:
        async for chunk in self.source.chunks():
            self.chunks.append(chunk)

    async def until(self, state: str, after: int = 0) -> int:
        """Wait until the state is reached after that; gives how much of the health was seen."""
        async with asyncio.timeout(60):
            while True:
                for number, health in enumerate(self.health[after:], after + 1):
                    if health.state == state:
                        return number
                await asyncio.sleep(0.02)


async def test_a_server_that_is_killed_and_comes_back(clip: Path):
    with rtsp_server({"cam": f"{clip}:opus"}) as first:
        watcher = Watcher(first.url("cam"))
        listening = asyncio.ensure_future(watcher.run())
        seen = await watcher.until("live")
        first.process.kill()
        first.process.wait()
        seen = await watcher.until("waiting", seen)
        before = len(watcher.chunks)
    with rtsp_server({"cam": f"{clip}:opus"}, port=first.port):
        await watcher.until("live", seen)
        listening.cancel()
    after = watcher.chunks[before:]
    assert after[0].gap
    assert not any(chunk.gap for chunk in watcher.chunks[:before])
    assert after[0].captured_at > watcher.chunks[before - 1].ends_at
    assert watcher.source.counts.hanging == 0


async def test_a_server_that_stops_without_closing(clip: Path):
    with rtsp_server({"cam": f"{clip}:mulaw"}) as server:
        watcher = Watcher(server.url("cam"))
        listening = asyncio.ensure_future(watcher.run())
        seen = await watcher.until("live")
        server.process.send_signal(signal.SIGSTOP)
        seen = await watcher.until("stalled", seen)
        assert watcher.health[seen - 1].detail == "no sound for 1 s"
        server.process.send_signal(signal.SIGCONT)
        await watcher.until("live", seen)
        listening.cancel()
    # The reader hung in FFmpeg when it stalled, and was abandoned.
    assert watcher.source.counts.abandoned >= 1


async def test_a_network_that_swallows_and_then_cuts(clip: Path):
    with rtsp_server({"cam": f"{clip}:alaw"}) as server:
        proxy = Proxy(server.port)
        with pretender(proxy.answer) as port:
            watcher = Watcher(f"rtsp://127.0.0.1:{port}/cam")
            listening = asyncio.ensure_future(watcher.run())
            seen = await watcher.until("live")
            proxy.flows.clear()
            seen = await watcher.until("stalled", seen)
            proxy.flows.set()
            seen = await watcher.until("live", seen)
            proxy.cut()
            seen = await watcher.until("waiting", seen)
            await watcher.until("live", seen)
            listening.cancel()
    assert sum(chunk.gap for chunk in watcher.chunks) >= 2


async def test_one_camera_that_hangs_disturbs_no_other(camera: RtspServer):
    with pretender(silent) as port:
        hanging = Watcher(f"rtsp://127.0.0.1:{port}/x", connect_s=0.2, first_s=0.05)
        well = Watcher(camera.url("opus"))
        both = [asyncio.ensure_future(watcher.run()) for watcher in (hanging, well)]
        await well.until("live")
        seen = 0
        for _ in range(3):
            seen = await hanging.until("stalled", seen)
        for task in both:
            task.cancel()
        assert "stalled" not in {health.state for health in well.health}
        assert threading.active_count() < 20
