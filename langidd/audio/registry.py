"""The kinds of sources: a new kind is one new file, and one line here."""

from __future__ import annotations

import stat
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from langidd.audio.base import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd.audio.supervisor import SupervisedSource
    from langidd.config import SourceSettings
    from langidd.types import Health


class CheckedSource(Source, Protocol):
    """A source of the registry: made from settings, and checked without listening."""

    @classmethod
    def from_settings(cls, settings: SourceSettings) -> CheckedSource:
        """Return the source that the settings describe; opens nothing.

        Raises:
            SourceError: the settings cannot stand.

        """

    def check(self) -> None:
        """Look, in a moment, whether what the source reads is there.

        Raises:
            SourceError: it is not; the line says what there is.

        """


def _is_pipe(settings: SourceSettings) -> bool:
    if settings.file is None:
        return False
    try:
        return stat.S_ISFIFO(Path(settings.file).stat().st_mode)
    except OSError:
        return False


_KINDS: Final[tuple[tuple[Callable[[SourceSettings], bool], str, str], ...]] = (
    (lambda settings: str(settings.file) == "-", "langidd.audio.stdin", "StdinSource"),
    (_is_pipe, "langidd.audio.fifo", "FifoSource"),
    (lambda settings: settings.file is not None, "langidd.audio.file", "FileSource"),
    (lambda settings: settings.rtsp is not None, "langidd.audio.rtsp", "RtspSource"),
    (lambda settings: settings.device is not None, "langidd.audio.microphone", "MicrophoneSource"),
)
"""Which settings mean a kind (the first that fits), its module and its class.

A module is imported only where its kind is wanted: a file needs no PortAudio.
"""


def open_source(settings: SourceSettings) -> CheckedSource:
    """Return the source that the settings describe; nothing is opened before `chunks()`.

    Raises:
        SourceError: the settings cannot stand.

    """
    module, name = next((module, name) for fits, module, name in _KINDS if fits(settings))
    kind: type[CheckedSource] = getattr(import_module(module), name)
    return kind.from_settings(settings)


def check_source(settings: SourceSettings) -> None:
    """Look, before anything slow is begun, whether a source can be there at all.

    A file that is missing or a microphone that does not exist is found; whether a camera
    answers is not tried. Blocks for up to some seconds (the sound system is asked).

    Raises:
        SourceError: one line that says what is wrong and what there is.

    """
    open_source(settings).check()


def supervise(settings: SourceSettings, on_health: Callable[[Health], None]) -> SupervisedSource:
    """Return the same source with its state, opened again as its kind allows."""
    from langidd.audio.supervisor import SourceTimeouts, SupervisedSource

    connect_s = max(settings.stall_s, SourceTimeouts().connect_s)
    return SupervisedSource(
        settings.name,
        lambda: open_source(settings),
        on_health,
        timeouts=SourceTimeouts(stall_s=settings.stall_s, connect_s=connect_s),
    )
