"""What every source is, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from langidd.observability.printable import printable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from langidd.types import Chunk

CHUNK_S: Final = 0.1
"""Seconds of sound in one chunk (the last one of a file may be shorter)."""


@dataclass(slots=True)
class SourceCounts:
    """What a source survived, since the process began.

    `non_finite` samples were NaN or infinite and became 0; `clipped` ones were
    beyond ±1. `damaged` packets could not be decoded. `overflows` were reported by
    the sound card, `dropped` chunks were not fetched in time; both are gaps.
    `resyncs` are jumps of the time stamps. `abandoned` reader threads hung and were
    left behind (how many of them hang now is `hanging`). `reconnects` counts every
    attempt after the first.
    """

    samples: int = 0
    non_finite: int = 0
    clipped: int = 0
    damaged: int = 0
    overflows: int = 0
    dropped: int = 0
    resyncs: int = 0
    abandoned: int = 0
    hanging: int = 0
    reconnects: int = 0


class Source(Protocol):
    """Sound from one place, as 16 kHz mono chunks with the time of their capture.

    `live` sources (microphone, camera, a file at the pace of the clock) lose sound
    that is not fetched in time, and mark the next chunk with `gap`; the others wait.
    """

    @property
    def name(self) -> str:
        """What the source is called in the configuration."""

    @property
    def live(self) -> bool:
        """Whether sound is lost while nobody fetches it."""

    @property
    def counts(self) -> SourceCounts:
        """What it survived so far; the same object for the source's whole life."""

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Open the device and give its sound; `aclose()` frees the device.

        Ends at the end of a file. May be called again after it ended: opens anew.

        Raises:
            SourceError: the device cannot be opened, or stopped giving sound.

        """


def one_line(text: str) -> str:
    """Return a path or URL as it may stand in a message."""
    return printable(text)
