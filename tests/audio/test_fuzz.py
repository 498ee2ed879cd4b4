"""Whatever a file, a camera or a URL holds: sound, or an error of one line; never more."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langidd.audio.file import FileSource
from langidd.audio.rtsp import RtspSource
from langidd.errors import SourceError
from tests.conftest import require
from tests.support.rtsp_process import pretender

if TYPE_CHECKING:
    import socket
    from pathlib import Path

BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "mka", "au", "aiff", "ac3")


class Recordings(dict[str, bytes]):
    """Files by format; a failing example need not print them."""

    def __repr__(self) -> str:
        return "recordings"


async def outcome(source: FileSource | RtspSource, most: int = 500) -> str:
    """Listen to it all; gives the error's text, or nothing."""
    chunks = source.chunks()
    heard, message = 0, ""
    try:
        async with asyncio.timeout(30):
            async for chunk in chunks:
                assert np.isfinite(chunk.samples).all()
                assert chunk.samples.dtype == np.float32
                assert len(chunk.samples) <= 3_200
                assert np.abs(chunk.samples).max(initial=0) <= 1
                assert np.isfinite(chunk.captured_at)
                heard += 1
                if heard == most:
                    break
    except SourceError as error:
        message = str(error)
    finally:
        await chunks.aclose()
    assert source.counts.hanging == 0
    assert len(message.splitlines()) <= 1
    return message


@pytest.fixture(scope="module")
def recordings(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """A second of real speech in many formats."""
    require("ffmpeg")
    place = tmp_path_factory.mktemp("formats")
    clip = speech / "uz" / "clips" / "uz_telegram-uz_00001.ogg"
    for kind in KINDS:
        command = ["ffmpeg", "-v", "error", "-ss", "1", "-i", clip, "-t", "1", place / f"x.{kind}"]
        subprocess.run(command, check=True)
    return Recordings({kind: (place / f"x.{kind}").read_bytes() for kind in KINDS})


@BOUNDED
@given(
    kind=st.sampled_from(KINDS),
    cut=st.floats(0.02, 1),
    wounds=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=40)), max_size=6),
)
def test_a_wounded_recording(
    recordings: Recordings,
    tmp_path: Path,
    kind: str,
    cut: float,
    wounds: list[tuple[float, bytes]],
) -> None:
    data = bytearray(recordings[kind][: int(len(recordings[kind]) * cut)])
    for place, what in wounds:
        at = int(place**2 * len(data))  # headers are where it hurts
        data[at : at + len(what)] = what
    path = tmp_path / f"wounded.{kind}"
    path.write_bytes(data)
    message = asyncio.run(outcome(FileSource("x", path)))
    assert not message or "wounded" in message


@BOUNDED
@given(data=st.binary(max_size=3_000), kind=st.sampled_from(KINDS))
def test_any_bytes_at_all(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / f"junk.{kind}"
    path.write_bytes(data)
    asyncio.run(outcome(FileSource("x", path)))


SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=control:*\r\n"
    "m=audio 0 RTP/AVP {number}\r\na=rtpmap:{number} {codec}\r\na=fmtp:{number} {parameters}\r\n"
    "a=control:{control}\r\n"
)


@settings(max_examples=25, deadline=None)
@given(
    number=st.sampled_from(["0", "8", "96", "127", "255", "-1", "99999999999"]),
    codec=st.sampled_from(
        ["PCMU/8000", "opus/48000/2", "MPEG4-GENERIC/44100/1", "L16/0/0", "x/y/z", "L16/1/9999", ""]
    ),
    parameters=st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=60)
    | st.just("streamtype=5;config=;sizelength=99;indexlength=-3;mode=AAC-hbr"),
    control=st.sampled_from(["track1", "rtsp://127.0.0.1:1/x", "", "%00", "../../etc"]),
    packets=st.binary(max_size=300),
    claims=st.integers(0, 65_535),
)
def test_a_camera_that_says_anything(  # noqa: PLR0917 - what hypothesis draws
    number: str, codec: str, parameters: str, control: str, packets: bytes, claims: int
) -> None:
    body = SDP.format(number=number, codec=codec, parameters=parameters, control=control)
    description = body.encode("latin-1")

    def camera(connection: socket.socket) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(4_096)
                if not more:
                    return
                data += more
            request, _, data = data.partition(b"\r\n\r\n")
            method = request.split(b" ")[0]
            lines = request.split(b"\r\n")
            sequence = next((line for line in lines if line.startswith(b"CSeq")), b"CSeq: 1")
            head = b"RTSP/1.0 200 OK\r\n" + sequence + b"\r\n"
            if method == b"DESCRIBE":
                length = b"Content-Length: %d\r\n" % len(description)
                connection.sendall(
                    head + b"Content-Type: application/sdp\r\n" + length + b"\r\n" + description
                )
            elif method == b"SETUP":
                transport = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
                connection.sendall(head + transport + b"\r\n")
            elif method == b"PLAY":
                connection.sendall(head + b"Session: 1\r\n\r\n")
                header = b"$\x00" + claims.to_bytes(2, "big")
                connection.sendall(header + b"\x80" + packets[:1] + b"\0" * 10 + packets)
                return
            else:
                connection.sendall(head + b"Public: DESCRIBE, SETUP, PLAY\r\n\r\n")

    with pretender(camera) as port:
        source = RtspSource(
            "cam", f"rtsp://admin:secret@127.0.0.1:{port}/x", open_s=1.0, read_s=1.0
        )
        message = asyncio.run(outcome(source))
    assert message
    assert "secret" not in message


@given(
    url=st.text(max_size=60)
    | st.builds("rtsp://{}@{}".format, st.text(max_size=20), st.text(max_size=30)),
    secret=st.text(st.characters(codec="utf-8"), min_size=4, max_size=30),
)
def test_any_url_and_password(url: str, secret: str) -> None:
    try:
        RtspSource("cam", url, username="admin", password=secret)
        RtspSource("cam", f"rtsp://admin:{quote(secret, safe='')}@127.0.0.1/x")
    except SourceError as error:
        text = str(error)
    else:
        return
    assert len(text.splitlines()) == 1
    assert quote(secret, safe="") not in text or quote(secret, safe="") in url


def test_a_password_apart_is_in_no_message_of_a_broken_url() -> None:
    with pytest.raises(SourceError) as caught:
        RtspSource("cam", "rtsp:///", username="admin", password="hunter22")  # noqa: S106 - made up
    assert "hunter22" not in str(caught.value)
