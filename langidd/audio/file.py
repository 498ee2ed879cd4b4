"""A file in any format that FFmpeg reads."""

from __future__ import annotations

import logging
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
import av.error
import numpy as np

from langidd.audio.base import CHUNK_S, SourceCounts, one_line
from langidd.audio.container import clock_text, length_of, origin_of
from langidd.audio.reader import Reader
from langidd.audio.resampling import Chunker
from langidd.audio.timestamps import SMALL_HOLE_S
from langidd.audio.tracks import TrackReader
from langidd.errors import EndsEarlyError, SourceError
from langidd.types import SAMPLE_RATE, Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    import numpy.typing as npt

    from langidd.audio.base import Recovery
    from langidd.audio.decoding import Piece
    from langidd.audio.thread_queue import ThreadQueue
    from langidd.config import SourceSettings

    Samples = npt.NDArray[np.float32]

_log = logging.getLogger(__name__)

_AHEAD: Final = 20
"""Chunks decoded before they are asked for; a file at full speed waits beyond."""

_FULL_SPEED_CHUNK_S: Final = 0.2

_LEAST_MISSING_S: Final = 1.0
"""A file whose sound ends this long before its stated length, and 1 % of it, ends early."""


class FileSource:
    """A recording, at full speed or at the pace of the clock.

    At full speed the times are seconds since the file's beginning plus `started_at`,
    so that a second run gives the same ones. With `realtime` they are those of the
    clock, and the source is live: it does not wait for a slow listener. `loop` plays
    it again and again, the times running on.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        realtime: bool = False,
        loop: bool = False,
        track: int | str | None = None,
        started_at: float | None = None,
    ) -> None:
        self.name = name
        self.live = realtime
        self.recovery: Recovery = "none"
        self.counts = SourceCounts()
        self._path = path
        self._loop = loop
        self._track = track
        self.tracks = ""
        self._started_at = started_at
        self._reader = Reader(name, self.counts)

    @classmethod
    def from_settings(cls, settings: SourceSettings) -> FileSource:
        """Return the source that the settings describe."""
        return cls(
            settings.name,
            Path(str(settings.file)),
            realtime=settings.realtime,
            loop=settings.loop,
            track=settings.track,
        )

    def check(self) -> None:
        """Raise SourceError where the file is missing, cannot be read or is none."""
        if self._path.is_fifo():
            return  # to open a pipe and leave it would end its writer
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                empty = stat.S_ISREG(mode) and not file.read(1)
        except FileNotFoundError:
            raise self._error("no such file") from None
        except IsADirectoryError:
            raise self._error("is a directory") from None
        except PermissionError:
            raise self._error("may not be read: permission denied") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise self._error(f"cannot be read: {reason}") from None
        if empty:
            raise self._error("is empty")
        if not stat.S_ISREG(mode):
            raise self._error("is a device or a socket, not a recording")

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Decode the file from its beginning; ends at its end.

        Raises:
            SourceError: there is no such file, or no sound in it; or, after what could be
                decoded, the file ends early.

        """
        return self._reader.chunks(self._read, capacity=_AHEAD, drops=self.live)

    def _read(self, mailbox: ThreadQueue[Chunk]) -> None:
        now = time.time() if self.live else 0.0
        started_at = now if self._started_at is None else self._started_at
        player = _Player(mailbox, self.counts, started_at=started_at, realtime=self.live)
        while True:
            before = self.counts.damaged
            early: SourceError | None = None
            try:
                for piece in self._pieces():
                    if not player.play(piece):
                        return
            except EndsEarlyError as error:
                early = error
            self._say_damage(before)
            if not self._loop:
                break
            if early is not None:
                _log.warning("%s: %s; it is played again", self.name, early)
        player.finish()
        if early is not None:
            raise early

    def _say_damage(self, before: int) -> None:
        damaged = self.counts.damaged - before
        if damaged:
            _log.warning("%s: %s: %d damaged packets were skipped", self.name, self._shown, damaged)

    def _pieces(self) -> Iterator[Piece]:
        with self._open() as container:
            origin_s = origin_of(container)
            try:
                tracks = TrackReader(
                    container, self.counts, self._track, name=self.name, origin_s=origin_s
                )
            except ValueError as error:
                raise self._error(str(error)) from None
            failure = ""
            try:
                for packet in container.demux(container.streams.audio):
                    if packet.size:  # the empty one at the end would flush the decoder
                        for piece in tracks.decode(packet):
                            self.tracks = tracks.chosen
                            yield piece
            except av.error.FFmpegError as error:
                failure = f" ({(error.strerror or type(error).__name__).lower()})"
            for piece in tracks.flush():
                self.tracks = tracks.chosen
                yield piece
            if tracks.decoded == 0:
                raise self._error("has no sound that can be decoded")
            ends_at_s = tracks.ends_at_s - origin_s
            length_s = length_of(container, tracks.stream, self._path)
            if length_s is not None and ends_at_s < length_s - max(
                _LEAST_MISSING_S, length_s / 100
            ):
                raise self._early(f"{clock_text(ends_at_s)} of {clock_text(length_s)}{failure}")
            if failure:
                raise self._early(f"{clock_text(ends_at_s)}{failure}")

    def _open(self) -> av.container.InputContainer:
        # FFmpeg would name an empty file and a directory with the same few words.
        self.check()
        try:
            # `file:` keeps a name with a colon from being taken for a protocol.
            return av.open(f"file:{self._path}", metadata_errors="ignore")
        except av.error.FFmpegError as error:
            if not isinstance(error, av.error.OSError) or isinstance(error, ValueError):
                raise self._error("is no recording that FFmpeg can read") from None
            raise self._error(f"cannot be read: {error.strerror}") from None
        except (OSError, ValueError) as error:
            raise self._error(f"cannot be read ({type(error).__name__})") from None

    @property
    def _shown(self) -> str:
        return one_line(str(self._path))

    def _error(self, what: str) -> SourceError:
        return SourceError(f"{self._shown}: {what}", permanent=True)

    def _early(self, where: str) -> EndsEarlyError:
        return EndsEarlyError(f"{self._shown}: ends early at {where}", permanent=True)


class _Player:
    """Cuts pieces into chunks, stamps them and keeps the clock's pace."""

    def __init__(
        self,
        mailbox: ThreadQueue[Chunk],
        counts: SourceCounts,
        *,
        started_at: float,
        realtime: bool,
    ) -> None:
        self._mailbox = mailbox
        self._counts = counts
        self._started_at = started_at
        self._realtime = realtime
        self._chunker = Chunker(round((CHUNK_S if realtime else _FULL_SPEED_CHUNK_S) * SAMPLE_RATE))
        self._began = time.monotonic()
        self._samples = 0
        self._skipped_s = 0.0
        self._gap = False

    def play(self, piece: Piece) -> bool:
        """Put a piece's chunks; False when nobody fetches any more."""
        samples = piece.samples
        begins = not self._samples and not self._chunker.waiting
        if piece.lost_s >= SMALL_HOLE_S or begins:
            if not self.finish():
                return False
            self._skipped_s += piece.lost_s
            self._gap = not begins
        elif piece.lost_s:
            self._counts.holes += 1
            silence = np.zeros(round(piece.lost_s * SAMPLE_RATE), dtype=np.float32)
            samples = np.concatenate([silence, samples])
        return all(self._put(chunk) for chunk in self._chunker.push(samples))

    def finish(self) -> bool:
        """Put the rest, shorter than a chunk."""
        rest = self._chunker.flush()
        return self._put(rest) if len(rest) else True

    def _put(self, samples: Samples) -> bool:
        at_s = self._skipped_s + self._samples / SAMPLE_RATE
        self._samples += len(samples)
        if self._realtime:
            # A microphone, too, gives a chunk only once its last sample was heard.
            early_s = at_s + len(samples) / SAMPLE_RATE - (time.monotonic() - self._began)
            if early_s > 0 and not self._mailbox.pause(early_s):
                return False
        gap, self._gap = self._gap, False
        return self._mailbox.put(Chunk(samples, self._started_at + at_s, gap=gap))
