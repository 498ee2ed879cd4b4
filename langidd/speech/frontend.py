"""One source's frontend: segments, and the windows cut from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langidd.speech.segmenter import Segmenter
from langidd.speech.windower import Windower

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

    from langidd.config import VadSettings, WindowSettings
    from langidd.types import Chunk, Pause, Speech, Window


class SpeechFrontend:
    """The `Frontend` (langidd.speech.base) of a source: segmenter, then windower."""

    def __init__(self, source: str, vad: VadSettings, windows: WindowSettings) -> None:
        self._segmenter = Segmenter(
            min_silence_s=vad.min_silence_s,
            min_speech_s=vad.min_speech_s,
            prefix_padding_s=vad.prefix_padding_s,
        )
        self._windower = Windower(
            source, hop_s=windows.hop_s, length_s=windows.length_s, first_s=windows.first_s
        )

    def push(self, chunk: Chunk, voiced: npt.NDArray[np.bool_]) -> list[Window | Pause]:
        """Take a chunk and its voice activity; returns the windows and pauses that are due."""
        return self._windows(self._segmenter.push(chunk, voiced))

    def flush(self) -> list[Window | Pause]:
        """End the sound; returns what was still held."""
        return self._windows(self._segmenter.flush())

    def _windows(self, items: Iterable[Speech | Pause]) -> list[Window | Pause]:
        return [made for item in items for made in self._windower.push(item)]
