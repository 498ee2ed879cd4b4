"""A camera's sound, over RTSP."""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import av
import av.error

from langidd.audio.base import SourceCounts, one_line
from langidd.audio.live import LiveChunks
from langidd.audio.reader import Reader
from langidd.audio.rtsp_url import parse_rtsp_url
from langidd.audio.tracks import TrackReader
from langidd.errors import SourceError
from langidd.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from langidd.audio.base import Recovery
    from langidd.audio.thread_queue import ThreadQueue
    from langidd.config import SourceSettings
    from langidd.types import Chunk

_log = logging.getLogger(__name__)

_QUEUE_CHUNKS: Final = 50
"""Chunks kept for a slow reader (5 s); older ones are dropped, and that is a gap."""

_DAMAGED_IN_A_ROW: Final = 500
"""So many undecodable packets are no sound at all (10 s of 20 ms packets)."""

_LONGEST_LOGIN: Final = 127
"""FFmpeg's RTSP client keeps `user:password`, percent-encoded, in 128 bytes (rtsp.h)."""

_DEFAULT_PORT: Final = {"rtsp": 554, "rtsps": 322}

_EXPLANATIONS: Final[tuple[tuple[tuple[type[av.error.FFmpegError], ...], str, bool], ...]] = (
    (
        (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError),
        "refuses the user name or the password",
        True,
    ),
    (
        (av.error.HTTPNotFoundError,),
        "has no such path (404); look it up in the camera's manual",
        False,
    ),
    ((av.error.HTTPError,), "answers with an error of its own; it may need a restart", False),
    ((av.error.ConnectionRefusedError,), "refuses the connection; is the port right?", False),
    (
        (av.error.TimeoutError, av.error.ExitError, av.error.BlockingIOError),
        "{before}: no answer in time",
        False,
    ),
    ((av.error.InvalidDataError,), "speaks no RTSP that FFmpeg understands", False),
)
"""What each error means (the first that fits), and whether it is permanent."""


class RtspSource:
    """An audio track of an RTSP stream.

    Only audio is asked for, where the server plays it alone. User and password
    may stand in the URL (percent-encoded where they hold signs that URLs use) or be given
    apart, as they are. Neither is in any message.

    Args:
        name: The source's name in the configuration.
        url: `rtsp://` or `rtsps://`.
        username: Instead of the URL's.
        password: Instead of the URL's.
        transport: `tcp` or `udp`.
        track: The audio track's number, from 0, or its language.
        open_s: How long FFmpeg waits for an answer when it connects.
        read_s: How long it waits for the next packet.

    Raises:
        SourceError: the URL cannot be used.

    """

    live: Final = True
    recovery: Final[Recovery] = "reconnect"

    def __init__(
        self,
        name: str,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        transport: str = "tcp",
        track: int | str | None = None,
        open_s: float = 10.0,
        read_s: float = 10.0,
    ) -> None:
        self.name = name
        self.counts = SourceCounts()
        self._shown = one_line(redact_url(url))
        try:
            self._address = parse_rtsp_url(url)
        except ValueError as error:
            raise self._error(str(error), permanent=True) from None
        self._url = self._with_login(username, password)
        self._transport = transport
        self._track = track
        self.tracks = ""
        self._timeout_s = (open_s, read_s)
        self._audio_alone = True
        self._reader = Reader(name, self.counts)

    @classmethod
    def from_settings(cls, settings: SourceSettings) -> RtspSource:
        """Return the source that the settings describe.

        Raises:
            SourceError: the URL cannot be used.

        """
        secret = settings.password
        return cls(
            settings.name,
            settings.rtsp or "",
            username=settings.username,
            password=None if secret is None else secret.get_secret_value(),
            transport=settings.transport,
            track=settings.track,
            read_s=settings.stall_s,
        )

    def check(self) -> None:
        """Do nothing: whether a camera answers is known only by connecting to it."""

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Connect and yield the sound; ends with an error only.

        Raises:
            SourceError: no connection, no sound, no more sound.

        """
        return self._reader.chunks(self._read, capacity=_QUEUE_CHUNKS, drops=True)

    def _read(self, queue: ThreadQueue[Chunk]) -> None:
        with self._open() as container:
            tracks = self._audio(container)
            if queue.closed:
                return
            for chunk in self._chunks(self._packets(container, queue), tracks):
                if not queue.put(chunk):
                    return

    def _chunks(
        self, packets: Iterator[av.Packet[av.AudioStream]], tracks: TrackReader
    ) -> Iterator[Chunk]:
        live = LiveChunks(self.counts)
        damaged_in_a_row = 0
        for packet in packets:
            decoded = tracks.decoded
            for piece in tracks.decode(packet, time.monotonic()):
                self.tracks = tracks.chosen
                yield from live.add(piece)
            damaged_in_a_row = 0 if tracks.decoded > decoded else damaged_in_a_row + 1
            if damaged_in_a_row > _DAMAGED_IN_A_ROW:
                raise self._error("sends sound that cannot be decoded")

    def _packets(
        self,
        container: av.container.InputContainer,
        queue: ThreadQueue[Chunk],
    ) -> Iterator[av.Packet[av.AudioStream]]:
        try:
            # Of all streams: a camera whose sound stops may send its picture for ever, and
            # a loop that saw no packet of it could be stopped by nobody.
            for packet in container.demux():
                if queue.closed:
                    return
                if packet.size and isinstance(packet.stream, av.AudioStream):
                    yield cast("av.Packet[av.AudioStream]", packet)
        except av.error.FFmpegError as error:
            raise self._explained(error, "stopped sending") from None
        raise self._error("ended the stream")

    def _open(self) -> av.container.InputContainer:
        if self._audio_alone:
            try:
                return self._connect(allowed_media_types="audio")
            except (
                av.error.HTTPOtherClientError,
                av.error.HTTPBadRequestError,
                av.error.HTTPServerError,
                av.error.InvalidDataError,
            ):
                # Some servers play all of their tracks or none.
                _log.debug("%s: the server does not play its audio track alone", self.name)
            except av.error.FFmpegError as error:
                raise self._explained(error, "gives no connection") from None
        try:
            container = self._connect()
        except av.error.FFmpegError as error:
            raise self._explained(error, "gives no connection") from None
        self._audio_alone = not container.streams.audio
        return container

    def _connect(self, **more: str) -> av.container.InputContainer:
        open_s, _ = self._timeout_s
        options = {
            "rtsp_transport": self._transport,
            "timeout": str(round(open_s * 1e6)),
            "user_agent": "langidd",
            "analyzeduration": "2000000",
            **more,
        }
        try:
            return av.open(
                self._url,
                format="rtsp",
                options=options,
                metadata_errors="ignore",
                timeout=self._timeout_s,
            )
        except av.error.FFmpegError:
            raise
        except (OSError, ValueError, UnicodeError):
            # Not FFmpeg's: the URL itself. Its text would hold the password.
            raise self._error("is no URL that can be opened", permanent=True) from None

    def _audio(self, container: av.container.InputContainer) -> TrackReader:
        try:
            return TrackReader(container, self.counts, self._track, name=self.name, live=True)
        except ValueError as error:
            advice = ""
            if not container.streams.audio:
                advice = "; switch sound on in the camera, or take its other stream"
            raise self._error(f"{error}{advice}", permanent=True) from None

    def _error(self, what: str, *, permanent: bool = False) -> SourceError:
        return SourceError(f"{self._shown}: {what}", permanent=permanent)

    def _explained(self, error: av.error.FFmpegError, before: str) -> SourceError:
        # Never FFmpeg's own text: it holds the URL with the password.
        for kinds, text, permanent in _EXPLANATIONS:
            if isinstance(error, kinds):
                return self._error(text.format(before=before), permanent=permanent)
        return self._error(f"{before}: {self._reason(error)}")

    def _reason(self, error: av.error.FFmpegError) -> str:
        address = self._address
        _, _, port = address.place.rpartition(":")
        try:
            socket.getaddrinfo(
                address.host, int(port) if port.isdigit() else _DEFAULT_PORT[address.scheme]
            )
        except OSError:
            hint = "; a / or ? in a password is written %2F or %3F" if "@" in address.path else ""
            return f"there is no host called {address.host}{hint}"
        return (error.strerror or type(error).__name__).strip().lower()

    def _with_login(self, username: str | None, password: str | None) -> str:
        address = self._address
        user = address.username if username is None else username
        secret = address.password if password is None else password
        login = quote(user or "", safe="") + (":" + quote(secret, safe="") if secret else "")
        if len(login) > _LONGEST_LOGIN:
            raise self._error(
                "user and password are too long for FFmpeg "
                f"({len(login)} characters percent-encoded, {_LONGEST_LOGIN} at most)",
                permanent=True,
            )
        at = "@" if login else ""
        return f"{address.scheme}://{login}{at}{address.place}{address.path}"
