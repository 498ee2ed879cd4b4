"""A recording that comes through a pipe with a name (mkfifo), or one that a shell opened."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
import av.error

from langidd.audio.base import SourceCounts, one_line
from langidd.audio.pipe import Pipe, PipeChunks
from langidd.audio.reader import Reader
from langidd.audio.tracks import TrackReader
from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from langidd.audio.base import Recovery
    from langidd.audio.thread_queue import ThreadQueue
    from langidd.config import SourceSettings
    from langidd.types import Chunk

_QUEUE_CHUNKS: Final = 20

_OPTIONS: Final = {"analyzeduration": "500000", "max_probe_packets": "4"}
"""FFmpeg looks at half a second (in µs) and four packets of a stream before it gives any of it.
Its defaults would hold back minutes of a live WAV."""


class FifoSource:
    """Sound in any format that FFmpeg reads without seeking, through a pipe.

    A named pipe whose writer left is opened again and waits for the next writer. A pipe
    without a name (`/dev/stdin`, a shell's `<(…)`) has one writer: its end is the end.

    Args:
        name: The source's name in the configuration.
        path: The pipe.
        track: The audio track's number, from 0, or its language.
        stall_s: After a silence this long, sound is dated by its arrival again.

    """

    live: Final = False

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        track: int | str | None = None,
        stall_s: float = 10.0,
    ) -> None:
        self.name = name
        self.counts = SourceCounts()
        # A pipe without a name is a link to `pipe:[number]`, which is no path.
        self.recovery: Recovery = "reopen" if path.resolve().exists() else "none"
        self._path = path
        self._track = track
        self.tracks = ""
        self._stall_s = stall_s
        self._reader = Reader(name, self.counts)

    @classmethod
    def from_settings(cls, settings: SourceSettings) -> FifoSource:
        """Return the source that the settings describe.

        Raises:
            SourceError: the settings ask for what a pipe cannot do.

        """
        path = Path(str(settings.file))
        for key in ("loop", "realtime"):
            if getattr(settings, key):
                raise SourceError(
                    f"{one_line(str(path))}: is a pipe, for which {key} has no meaning; "
                    f"leave {key} out",
                    permanent=True,
                )
        return cls(settings.name, path, track=settings.track, stall_s=settings.stall_s)

    def check(self) -> None:
        """Raise SourceError where the pipe cannot be read."""
        if not os.access(self._path, os.R_OK):
            raise self._error("may not be read: permission denied")

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Wait for a writer, and yield its sound until it leaves.

        Raises:
            SourceError: the pipe cannot be read, holds no sound, or the writer left it.

        """
        return self._reader.chunks(self._read, capacity=_QUEUE_CHUNKS, drops=False)

    def _read(self, queue: ThreadQueue[Chunk]) -> None:
        with self._open(queue) as pipe:
            chunks = PipeChunks(pipe, self.counts, self._stall_s)
            try:
                with av.open(pipe, "r", options=_OPTIONS, metadata_errors="ignore") as container:
                    for chunk in self._chunks(container, chunks):
                        if not queue.put(chunk):
                            return
            except av.error.FFmpegError:
                if queue.closed:
                    return
                raise self._error("gives nothing that FFmpeg can read as a recording") from None
        if self.recovery == "reopen":
            raise self._error("the writer has closed it")

    def _chunks(
        self, container: av.container.InputContainer, chunks: PipeChunks
    ) -> Iterator[Chunk]:
        try:
            tracks = TrackReader(container, self.counts, self._track, name=self.name)
        except ValueError as error:
            raise self._error(str(error)) from None
        for packet in container.demux(container.streams.audio):
            if packet.size:
                for piece in tracks.decode(packet):
                    self.tracks = tracks.chosen
                    yield from chunks.push(piece.samples, piece.lost_s)
        for piece in tracks.flush():
            yield from chunks.push(piece.samples, piece.lost_s)
        yield from chunks.flush()

    @contextmanager
    def _open(self, queue: ThreadQueue[Chunk]) -> Iterator[Pipe]:
        try:
            # Opened so, it needs no writer yet, and the thread never hangs.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._error(f"cannot be opened: {(error.strerror or '').lower()}") from None
        try:
            yield Pipe(descriptor, lambda: queue.closed)
        finally:
            os.close(descriptor)

    def _error(self, what: str) -> SourceError:
        return SourceError(f"{one_line(str(self._path))}: {what}")
