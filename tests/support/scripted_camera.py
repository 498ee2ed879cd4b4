"""An RTSP camera written down packet by packet, for what no real server does on request."""

from __future__ import annotations

import re
import struct
import time
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

AUDIO: Final = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:audio\r\n"
VIDEO: Final = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n"

Packets: TypeAlias = "Iterator[tuple[float, int, bytes]]"

RTP_AUDIO, RTCP_AUDIO, RTP_VIDEO = 0, 1, 2
"""Interleaved channels, as the tracks are set up in this order: sound first."""


class ScriptedCamera:
    """Answers the requests and then sends `(seconds of wait, channel, packet)` after packet.

    With `whole` it plays all of its tracks or none, as some cameras do.
    """

    def __init__(
        self, sdp: str, packets: Iterator[tuple[float, int, bytes]], *, whole: bool
    ) -> None:
        self.sdp = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n" + sdp
        self.tracks = sdp.count("m=")
        self.packets = packets
        self.whole = whole
        self.playing = 0

    def answer(self, connection: socket.socket) -> None:
        """Serve one connection."""
        pending, set_up = b"", 0
        while True:
            while b"\r\n\r\n" not in pending:
                more = connection.recv(4_096)
                if not more:
                    return
                pending += more
            request, _, pending = pending.partition(b"\r\n\r\n")
            method = request.split(b" ", 1)[0].decode()
            found = re.search(rb"(?i)cseq: *(\d+)", request)
            assert found is not None
            headers = f"CSeq: {found[1].decode()}\r\nSession: 1\r\n"
            body, status = "", "200 OK"
            if method == "DESCRIBE":
                body = self.sdp
                headers += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                channels = f"{2 * set_up}-{2 * set_up + 1}"
                headers += f"Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n"
                set_up += 1
            elif method == "PLAY" and self.whole and set_up < self.tracks:
                status = "455 Method Not Valid in This State"
            connection.sendall(f"RTSP/1.0 {status}\r\n{headers}\r\n{body}".encode())
            if method == "PLAY" and status == "200 OK":
                self._play(connection)
                return

    def _play(self, connection: socket.socket) -> None:
        self.playing += 1
        try:
            for wait_s, channel, packet in self.packets:
                time.sleep(wait_s)
                connection.sendall(struct.pack("!cBH", b"$", channel, len(packet)) + packet)
        finally:
            self.playing -= 1


def rtp(number: int, payload_type: int, clock: int, payload: bytes) -> bytes:
    """An RTP packet (RFC 3550, section 5.1) that ends a frame."""
    marker = 0x80 | payload_type
    return struct.pack("!BBHII", 0x80, marker, number & 0xFFFF, clock, 1) + payload


def sender_report(number: int) -> bytes:
    """An RTCP sender report (RFC 3550, section 6.4.1)."""
    return struct.pack("!BBHIQIII", 0x80, 200, 6, 1, number << 32, number * 8_000, 0, 0)


def sound_that_stops(packets: int) -> Packets:
    """Some 20 ms packets of sound; the picture goes on for ever."""
    number = 0
    while True:
        if number < packets:
            yield 0.02, RTP_AUDIO, rtp(number, 0, number * 160, b"\xff" * 160)
        picture = b"\x65" + bytes(200)
        wait_s = 0.0 if number < packets else 0.02
        yield wait_s, RTP_VIDEO, rtp(number, 96, number * 1_800, picture)
        number += 1


def reports_alone() -> Packets:
    """Sender reports, and never any sound."""
    number = 0
    while True:
        yield 0.1, RTCP_AUDIO, sender_report(number)
        number += 1
