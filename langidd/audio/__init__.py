"""Where sound comes from: the one list of the kinds of sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langidd.audio.base import Source, SourceCounts, one_line
from langidd.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd.audio.supervisor import SupervisedSource
    from langidd.config import SourceSettings
    from langidd.types import Health

__all__ = ["Source", "SourceCounts", "check_source", "open_source", "supervise"]


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


def check_source(settings: SourceSettings) -> None:
    """Look whether a file or a microphone is there, before anything slow begins.

    Raises:
        SourceError: it is not.

    """
    if settings.file not in (None, "-"):
        path = Path(str(settings.file))
        if not path.is_file() or not path.stat().st_size:
            reason = "is a directory" if path.is_dir() else "no such file"
            reason = "is empty" if path.is_file() else reason
            raise SourceError(f"{one_line(str(path))}: {reason}", permanent=True)
    if settings.device is not None:
        from dataclasses import asdict

        from langidd.audio.microphone import list_microphones
        from langidd.audio.portaudio import NoDevice, find

        try:
            find([asdict(device) for device in list_microphones()], str(settings.device))
        except NoDevice as error:
            text = f"microphone {settings.device}: {error}"
            raise SourceError(text, permanent=True) from None
