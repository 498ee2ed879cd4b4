"""The protocol of a source, and what a source counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from langidd.errors import printable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from langidd.types import Chunk

CHUNK_S: Final = 0.1
"""Seconds of sound in one chunk (the last one of a file may be shorter)."""

Recovery: TypeAlias = Literal["reconnect", "reopen", "none"]
"""What brings a source's sound back.

`reconnect`: close it and open it again, after an error and after a stall (microphone,
camera). `reopen`: open it again after an error or its end; a stall is waited out, since
closing it would harm the writer (named pipe). `none`: an error is final, its end is the
end, and a stall is waited out (file, standard input).
"""


@dataclass(slots=True)
class SourceCounts:
    """What went wrong in a source since the process began.

    Attributes:
        samples: Samples given, 16 kHz.
        non_finite: Samples that were NaN or infinite and became 0.
        clipped: Samples beyond ±1.
        damaged: Packets that could not be decoded.
        overflows: Blocks that the sound card lost; each is a gap.
        dropped: Chunks that were not read in time; each is a gap.
        resyncs: Jumps of the time stamps.
        holes: Holes too short to end a segment, which were filled with silence.
        abandoned: Reader threads or processes that hung and were abandoned.
        hanging: How many of them hang now.
        reconnects: Attempts after the first.

    """

    samples: int = 0
    non_finite: int = 0
    clipped: int = 0
    damaged: int = 0
    overflows: int = 0
    dropped: int = 0
    resyncs: int = 0
    holes: int = 0
    abandoned: int = 0
    hanging: int = 0
    reconnects: int = 0


class Source(Protocol):
    """One channel of one stream, as 16 kHz mono chunks with their capture time.

    A source promises:

    - nothing is opened before the first chunk is asked for;
    - chunks are `(n,) float32` within ±1, in the order of time, and never overlap;
    - `gap` is set on the first chunk after sound was lost, and on no other;
    - times are seconds since the epoch (UTC), or since the start of a file;
    - `aclose()` returns soon and frees the device, even where a driver hangs;
    - an error is one line that names the source and holds no password.

    Reconnecting, back-off and states are the supervisor's affair.
    """

    @property
    def name(self) -> str:
        """What the source is called in the configuration."""

    @property
    def live(self) -> bool:
        """Whether sound is lost while nobody reads it; where not, the writer waits."""

    @property
    def recovery(self) -> Recovery:
        """What brings its sound back after an error or a stall."""

    @property
    def counts(self) -> SourceCounts:
        """What went wrong so far; the same object for the source's whole life."""

    def chunks(self) -> AsyncGenerator[Chunk]:
        """Open the device and yield its sound; `aclose()` frees the device.

        Returns at the end of a file. May be called again afterwards.

        Raises:
            SourceError: the device cannot be opened, or stopped giving sound.

        """


def one_line(text: str) -> str:
    """Return a path or URL as it may stand in a message."""
    return printable(text)
