"""One source's ears: the pure parts between its chunks and the classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langidd.speech.segmenter import Segmenter
from langidd.speech.vad import voice_activity
from langidd.speech.windower import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langidd.config import VadSettings, WindowSettings
    from langidd.types import Chunk, Pause, Speech, Window


class Listener:
    """Segmenter and windows, one behind the other."""

    def __init__(self, source: str, vad: VadSettings, windows: WindowSettings) -> None:
        self._segmenter = Segmenter(
            voice_activity(vad.engine, vad.aggressiveness, vad.threshold),
            min_silence_s=vad.min_silence_s,
            min_speech_s=vad.min_speech_s,
            prefix_padding_s=vad.prefix_padding_s,
        )
        self._windows = Windows(
            source, hop_s=windows.hop_s, length_s=windows.length_s, first_s=windows.first_s
        )

    def push(self, chunk: Chunk) -> list[Window | Pause]:
        """Hear a chunk; gives the windows that are due and the pauses, in the order of time."""
        return self._through(self._segmenter.push(chunk))

    def flush(self) -> list[Window | Pause]:
        """The sound has ended, or stops for now: give what is still held."""
        return self._through(self._segmenter.flush())

    def _through(self, items: Iterable[Speech | Pause]) -> list[Window | Pause]:
        return [made for item in items for made in self._windows.push(item)]
