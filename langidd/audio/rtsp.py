"""A camera's sound, over RTSP."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import av
import av.error

from langidd.audio.base import SourceCounts, one_line
from langidd.audio.decoding import Decoder
from langidd.audio.live import LiveChunks
from langidd.audio.reader import Reader
from langidd.errors import SourceError
from langidd.observability.redaction import redact_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from langidd.audio.thread_queue import Mailbox
    from langidd.types import Chunk

_log = logging.getLogger(__name__)

_WAITING: Final = 50
"""Chunks kept for a slow listener (5 s); older ones are dropped, and that is a gap."""

_DAMAGED_IN_A_ROW: Final = 500
"""So many packets that do not decode are no sound at all (10 s of 20 ms packets)."""

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
"""What each error means, the first that fits, and whether trying again soon is in vain."""


class RtspSource:
    """The first audio track of an RTSP stream.

    The user and the password may stand in the URL (percent-encoded where they hold
    signs that URLs use) or be given apart, as they are. Neither is in any message.
    Only the audio track is asked for, where the server plays it alone.
    """

    live: Final = True

    def __init__(
        self,
        name: str,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        transport: str = "tcp",
        open_s: float = 10.0,
        read_s: float = 10.0,
    ) -> None:
        self.name = name
        self.counts = SourceCounts()
        self._url = _with_login(url, username, password)
        self._shown = one_line(redact_url(url))
        self._transport = transport
        self._timeout_s = (open_s, read_s)
        self._audio_alone = True
        self._reader = Reader(name, self.counts)

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Connect and give the sound; never ends but with an error.

        Raises:
            SourceError: no connection, no sound, no more sound.

        """
        return self._reader.chunks(self._read, capacity=_WAITING, drops=True)

    def _read(self, mailbox: Mailbox[Chunk]) -> None:
        with self._open() as container:
            stream = self._audio(container)
            if mailbox.abandoned:
                return
            for chunk in self._chunks(container, stream):
                if not mailbox.put(chunk):
                    return

    def _chunks(
        self, container: av.container.InputContainer, stream: av.AudioStream
    ) -> Iterator[Chunk]:
        decoder = Decoder(stream, self.counts)
        live = LiveChunks(self.counts)
        in_vain = 0
        for packet in self._packets(container, stream):
            decoded = decoder.decoded
            for piece in decoder.decode(packet):
                if piece.gap:
                    yield from live.lose(piece.lost_s)
                yield from live.push(piece.samples)
            in_vain = 0 if decoder.decoded > decoded else in_vain + 1
            if in_vain > _DAMAGED_IN_A_ROW:
                raise self._error("sends sound that cannot be decoded")

    def _packets(
        self, container: av.container.InputContainer, stream: av.AudioStream
    ) -> Iterator[av.Packet[av.AudioStream]]:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
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

    def _audio(self, container: av.container.InputContainer) -> av.AudioStream:
        if not container.streams.audio:
            kinds = ", ".join(sorted({stream.type for stream in container.streams}))
            raise self._error(
                f"has no audio track (only {kinds or 'no tracks'}); "
                "switch sound on in the camera, or take its other stream",
                permanent=True,
            )
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise self._error("has sound in a codec that FFmpeg does not know", permanent=True)
        return stream

    def _error(self, what: str, *, permanent: bool = False) -> SourceError:
        return SourceError(f"{self._shown}: {what}", permanent=permanent)

    def _explained(self, error: av.error.FFmpegError, before: str) -> SourceError:
        # Never FFmpeg's own text: it holds the URL with the password.
        for kinds, text, permanent in _EXPLANATIONS:
            if isinstance(error, kinds):
                return self._error(text.format(before=before), permanent=permanent)
        return self._error(f"{before}: {self._reason(error)}")

    def _reason(self, error: av.error.FFmpegError) -> str:
        parts = urlsplit(self._url)
        try:
            socket.getaddrinfo(parts.hostname, parts.port or _DEFAULT_PORT.get(parts.scheme))
        except OSError:
            return f"there is no host called {parts.hostname}"
        return (error.strerror or type(error).__name__).strip().lower()


def _with_login(url: str, username: str | None, password: str | None) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in _DEFAULT_PORT:
        raise SourceError(
            f"{one_line(redact_url(url))}: is no rtsp:// URL; it must be rtsp://host/path",
            permanent=True,
        )
    user, _, secret = parts.netloc.rpartition("@")[0].partition(":")
    # What is percent-encoded already stays what it means; what is not gets encoded.
    user = unquote(user) if username is None else username
    secret = unquote(secret) if password is None else password
    login = quote(user, safe="") + (":" + quote(secret, safe="") if secret else "")
    if len(login) > _LONGEST_LOGIN:
        raise SourceError(
            f"{one_line(redact_url(url))}: user and password are too long for FFmpeg "
            f"({len(login)} characters percent-encoded, {_LONGEST_LOGIN} at most)",
            permanent=True,
        )
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}@{place}" if login else place))
