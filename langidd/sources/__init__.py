"""Where sound comes from: the one list of the kinds of sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langidd.sources.base import Source, SourceCounts

if TYPE_CHECKING:
    from langidd.config import SourceSettings

__all__ = ["Source", "SourceCounts", "open_source"]


def open_source(settings: SourceSettings) -> Source:
    """The source that the settings describe; nothing is opened before `chunks()`.

    Each kind is imported only where it is wanted: a file needs no PortAudio.

    Raises:
        SourceError: what the source needs (a password file) is not there.

    """
    if settings.file is not None:
        if str(settings.file) == "-":
            from langidd.sources.stdin import StdinSource

            return StdinSource(settings.name, rate=settings.sample_rate, channels=settings.channels)
        from langidd.sources.file import FileSource

        return FileSource(
            settings.name,
            Path(settings.file),
            realtime=settings.realtime,
            loop=settings.loop,
        )
    raise NotImplementedError
