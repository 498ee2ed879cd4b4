"""A camera over RTSP/TCP whose tracks (A-law, 8 kHz) have the time stamps that a test wants."""

from __future__ import annotations

import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

RATE = 8_000
PLAY_AHEAD_S = 0.5


class StampedCamera:
    """What `pretender` has answer its connections.

    Args:
        tracks: A-law, 8 kHz, each played over and over.
        stamp: Makes a packet's stamp, in seconds, of its number and its true time.
        packet_s: Sound in a packet.
        lost: Whether a packet, by its number, is lost on its way.
        languages: The tracks' languages, as `a=lang` of the SDP.

    """

    def __init__(
        self,
        tracks: Sequence[bytes],
        stamp: Callable[[int, float], float] = lambda _, time_s: time_s,
        *,
        packet_s: float = 0.04,
        lost: Callable[[int], bool] = lambda _: False,
        languages: Sequence[str] = (),
    ) -> None:
        self._tracks = tracks
        self._stamp = stamp
        self._packet_s = packet_s
        self._lost = lost
        self._languages = languages

    def __call__(self, connection: socket.socket) -> None:
        """Serve one client until it leaves."""
        file = connection.makefile("rb")
        channels: dict[int, int] = {}
        while True:
            first = file.read(1)
            if not first:
                return
            if first == b"$":  # the client's RTCP
                file.read(struct.unpack(">BH", file.read(3))[1])
                continue
            lines = [first + file.readline()]
            while lines[-1].strip():
                lines.append(file.readline())
            method, url, _ = lines[0].decode().split(" ", 2)
            headers = dict(line.decode().strip().split(": ", 1) for line in lines[1:-1])
            more, body = "Session: 1\r\n", ""
            if method == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                body = self._description()
                more = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
                more += f"Content-Length: {len(body)}\r\n"
            elif method == "SETUP":
                channel = int(headers["Transport"].split("interleaved=")[1].split("-")[0])
                channels[int(url.rsplit("track", 1)[1])] = channel
                more += f"Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}\r\n"
            elif method == "TEARDOWN":
                return
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}\r\n{more}\r\n{body}"
            connection.sendall(answer.encode())
            if method == "PLAY":
                arguments = (connection, channels)
                threading.Thread(target=self._play, args=arguments, daemon=True).start()

    def _description(self) -> str:
        body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n"
        for number in range(len(self._tracks)):
            body += "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
            if self._languages:
                body += f"a=lang:{self._languages[number]}\r\n"
            body += f"a=control:track{number}\r\n"
        return body

    def _play(self, connection: socket.socket, channels: dict[int, int]) -> None:
        size = round(self._packet_s * RATE)
        began = time.monotonic()
        number = 0
        try:
            while True:
                time_s = number * self._packet_s
                ticks = int(self._stamp(number, time_s) * RATE) & 0xFFFF_FFFF
                for track, channel in channels.items():
                    sound = self._tracks[track]
                    at = number * size % (len(sound) - size)
                    packet = struct.pack(">BBHII", 0x80, 8, number & 0xFFFF, ticks, 0x1000 + track)
                    packet += sound[at : at + size]
                    if not self._lost(number):
                        header = b"$" + bytes([channel]) + struct.pack(">H", len(packet))
                        connection.sendall(header + packet)
                number += 1
                time.sleep(max(0.0, began + number * self._packet_s - time.monotonic()))
        except OSError:
            return  # the client has left
