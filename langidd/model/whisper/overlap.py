"""Log-mel of windows that overlap: what the last window of a source had is not computed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.model.whisper.log_mel import (
    EDGE_SAMPLES,
    FFT_SAMPLES,
    HOP_SAMPLES,
    inner_log_powers,
    limit_range,
)
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

MIRRORED_FRAMES: Final = -(-EDGE_SAMPLES // HOP_SAMPLES)
"""Frames at a window's start that reach over it, where the sound is mirrored."""

MIRRORED_AT_END: Final = (EDGE_SAMPLES - 1) // HOP_SAMPLES
"""The same at its end, where the frame that is centred on the end is left out."""

SOURCES: Final = 4096
"""Of more sources than this the one that was silent longest is forgotten."""


@dataclass(frozen=True, slots=True)
class _Computed:
    samples: npt.NDArray[np.float32]
    end_s: float
    log_powers: npt.NDArray[np.float32]


class OverlappingLogMel:
    """Whisper's log-mel, with the last window of each source kept; for any threads.

    It is exact: frames are taken over only where the samples are the same and lie on the same
    grid of 10 ms.
    """

    def __init__(self, mels: int, sources: int = SOURCES) -> None:
        """Prepare for windows of any length.

        Args:
            mels: The number of mel bins.
            sources: Of how many the last window is kept.

        """
        self._mels = mels
        self._most = sources
        self._last: OrderedDict[str, _Computed] = OrderedDict()
        self._lock = threading.Lock()

    def log_mel(
        self, samples: npt.NDArray[np.float32], source: str, end_s: float
    ) -> npt.NDArray[np.float32]:
        """Compute the log-mel spectrogram of a source's next window.

        Args:
            samples: `(n,) float32` at 16 kHz; n is a multiple of 160 and above 200.
            source: The source's name.
            end_s: The time one sample after the last.

        Returns:
            `(mels, n / 160) float32`, relative to the window's own maximum.

        """
        with self._lock:
            last = self._last.get(source)
        powers = self._log_powers(samples, end_s, last)
        with self._lock:
            self._last[source] = _Computed(samples, end_s, powers)
            self._last.move_to_end(source)
            if len(self._last) > self._most:
                self._last.popitem(last=False)
        scaled: npt.NDArray[np.float32] = limit_range(powers[None])[0]
        return scaled

    def _log_powers(
        self, samples: npt.NDArray[np.float32], end_s: float, last: _Computed | None
    ) -> npt.NDArray[np.float32]:
        mirrored = np.pad(samples, EDGE_SAMPLES, mode="reflect")
        frames = len(samples) // HOP_SAMPLES
        known = None if last is None else _shared_frames(samples, end_s, last)
        if last is None or known is None:
            return self._inner(mirrored, 0, frames)
        first, stop, moved = known
        parts = [
            self._inner(mirrored, 0, first),
            last.log_powers[:, first + moved : stop + moved],
            self._inner(mirrored, stop, frames),
        ]
        return np.concatenate(parts, axis=1)

    def _inner(
        self, mirrored: npt.NDArray[np.float32], first: int, stop: int
    ) -> npt.NDArray[np.float32]:
        covered = mirrored[first * HOP_SAMPLES : (stop - 1) * HOP_SAMPLES + FFT_SAMPLES]
        found: npt.NDArray[np.float32] = inner_log_powers(covered[None], self._mels)[0]
        return found


def _shared_frames(
    samples: npt.NDArray[np.float32], end_s: float, last: _Computed
) -> tuple[int, int, int] | None:
    """Which frames of a window an earlier one has: first, stop, and where they are there."""
    later = round((end_s - last.end_s) * SAMPLE_RATE)
    # Where the earlier window begins, counted from the start of this one.
    begin = len(samples) - later - len(last.samples)
    if later < 0 or later >= len(samples) or begin % HOP_SAMPLES:
        return None
    moved = -begin // HOP_SAMPLES
    last_frames = last.log_powers.shape[1]
    first = MIRRORED_FRAMES + max(0, -moved)
    stop = min(last_frames - moved, len(samples) // HOP_SAMPLES) - MIRRORED_AT_END
    overlap = len(samples) - later - max(0, begin)
    if stop <= first or not np.array_equal(
        samples[max(0, begin) : max(0, begin) + overlap],
        last.samples[max(0, -begin) : max(0, -begin) + overlap],
    ):
        return None
    return first, stop, moved
