"""Where sound comes from: the one list of the kinds of sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langidd.audio.base import Source, SourceCounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd.audio.supervisor import SupervisedSource
    from langidd.config import SourceSettings
    from langidd.types import Health

__all__ = ["Source", "SourceCounts", "open_source", "supervise"]


def open_source(settings: SourceSettings) -> Source:
    """The source that the settings describe; nothing is opened before `chunks()`.

    Each kind is imported only where it is wanted: a file needs no PortAudio.

    Raises:
        SourceError: what the source needs (a password file) is not there.

    """
    if settings.file is not None:
        if str(settings.file) == "-":
            from langidd.audio.stdin import StdinSource

            return StdinSource(settings.name, rate=settings.sample_rate, channels=settings.channels)
        from langidd.audio.file import FileSource

        return FileSource(
            settings.name,
            Path(settings.file),
            realtime=settings.realtime,
            loop=settings.loop,
        )
    if settings.rtsp is not None:
        from langidd.audio.rtsp import RtspSource

        secret = settings.password
        return RtspSource(
            settings.name,
            settings.rtsp,
            username=settings.username,
            password=None if secret is None else secret.get_secret_value(),
            transport=settings.transport,
            read_s=settings.stall_s,
        )
    from langidd.audio.microphone import MicrophoneSource

    return MicrophoneSource(
        settings.name, "default" if settings.device is None else settings.device
    )


def supervise(settings: SourceSettings, on_health: Callable[[Health], None]) -> SupervisedSource:
    """The same source, reconnected for ever; a file ends, or fails, and that is that."""
    from langidd.audio.supervisor import Patience, SupervisedSource

    return SupervisedSource(
        settings.name,
        lambda: open_source(settings),
        on_health,
        patience=Patience(
            stall_s=settings.stall_s, connect_s=max(settings.stall_s, Patience().connect_s)
        ),
        gives_up=settings.file is not None,
    )
