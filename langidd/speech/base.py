"""What the speech stage promises, and what it needs of a voice activity network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from langidd.types import Chunk, Pause, Window


class Frontend(Protocol):
    """Cuts one source's sound into what the model scores.

    It is pure: time arrives with the chunks, voice activity beside them. The same chunks
    and flags give the same windows, however the sound was cut into chunks.
    """

    def push(self, chunk: Chunk, voiced: npt.NDArray[np.bool_]) -> list[Window | Pause]:
        """Take a chunk.

        Args:
            chunk: The next chunk of the source.
            voiced: `(frames,) bool`, what a `VoiceActivity` says of the 30 ms frames that
                the chunk completes.

        Returns:
            The windows that became due and the pauses, in the order of time.

        """

    def flush(self) -> list[Window | Pause]:
        """End the sound; returns what was still held."""


class VoiceActivity(Protocol):
    """Says which 30 ms frames of one source's sound are speech."""

    async def voiced(self, chunk: Chunk) -> npt.NDArray[np.bool_]:
        """Judge the frames that a chunk completes.

        Frames are counted from the first sample, and from the first after each gap.

        Args:
            chunk: The next chunk of the source. Chunks are given one after another.

        Returns:
            `(frames,) bool`: whether each frame is speech.

        """

    def close(self) -> None:
        """Free what is kept for the source."""


class VoiceNetwork(Protocol):
    """A recurrent network that keeps a state (a row) for each source; used by one thread."""

    def open(self) -> int:
        """Return a new row, its state reset."""

    def close(self, row: int) -> None:
        """Free a row."""

    def reset(self, rows: Sequence[int]) -> None:
        """Reset the state of rows."""

    def step(self, blocks: npt.NDArray[np.float32], rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Take the next 32 ms of several sources.

        Args:
            blocks: `(n, 512) float32`, 16 kHz.
            rows: The row of each block; none twice.

        Returns:
            `(n,) float32`: the probability that a voice is in each block.

        """
