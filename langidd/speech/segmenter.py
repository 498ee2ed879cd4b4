"""Where speech begins and ends.

Sound is cut into 30 ms frames, and voice activity says of each whether it is speech. A
segment opens once there was enough of it, with a little sound from before; inside it,
silence shorter than the minimum silence belongs to it; longer silence ends it, and only a
little of that silence is kept. Frames are counted from the start of the sound, so the result
does not depend on how the sound was cut into chunks.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.speech.vad import FRAME_S, FRAME_SAMPLES
from langidd.types import SAMPLE_RATE, Chunk, Pause, Speech

if TYPE_CHECKING:
    import numpy.typing as npt

PAUSE_S: Final = 1.0
"""How often a lasting silence is reported."""

SAME_TIME_S: Final = 1e-4
"""Times closer than this are the same: seconds since 1970 are only kept to 0.2 µs, and sums of
them to a little less, which must not show as a pause."""


class Segmenter:
    """Finds the segments of one source."""

    def __init__(
        self,
        *,
        min_silence_s: float = 0.5,
        min_speech_s: float = 0.25,
        prefix_padding_s: float = 0.2,
    ) -> None:
        """Start at the beginning of a source's sound.

        Args:
            min_silence_s: The silence that ends a segment.
            min_speech_s: The speech that opens one.
            prefix_padding_s: The sound that is kept before a segment's first voice and
                after its last.

        """
        self._min_silence_frames = max(1, round(min_silence_s / FRAME_S))
        self._min_speech_frames = max(1, round(min_speech_s / FRAME_S))
        self._padding_frames = round(prefix_padding_s / FRAME_S)
        self._segment = 0
        self._reset()

    def _reset(self) -> None:
        self._rest = np.empty(0, np.float32)
        self._time: float | None = None
        self._speaking = False
        self._before: deque[npt.NDArray[np.float32]] = deque(maxlen=self._padding_frames)
        self._onset: list[npt.NDArray[np.float32]] = []
        self._voiced_frames = 0
        self._held: list[npt.NDArray[np.float32]] = []
        self._quiet_since: float | None = None

    def push(self, chunk: Chunk, voiced: npt.NDArray[np.bool_]) -> list[Speech | Pause]:
        """Take a chunk.

        Args:
            chunk: The next chunk.
            voiced: `(frames,) bool`: which of the frames that it completes are speech.

        Returns:
            What has become certain, in the order of time.

        """
        found: list[Speech | Pause] = []
        if chunk.gap and self._time is not None:
            lost_since = min(self._time + chunk.clock_step_s, chunk.captured_at)
            found += self.flush()
            found.append(
                Pause(lost_since, chunk.captured_at, gap=True, clock_step_s=chunk.clock_step_s)
            )
        self._time = chunk.ends_at
        sound = np.concatenate([self._rest, chunk.samples])
        first_at = chunk.ends_at - len(sound) / SAMPLE_RATE
        for index, flag in enumerate(voiced.tolist()):
            frame = sound[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES]
            self._frame(frame, first_at + index * FRAME_S, found, voiced=flag)
        self._rest = sound[len(voiced) * FRAME_SAMPLES :]
        return _joined(found)

    def flush(self) -> list[Speech | Pause]:
        """End the sound: close the segment, report the last silence, and reset.

        Segments are counted on.
        """
        found: list[Speech | Pause] = []
        time = self._time
        if self._speaking and time is not None:
            self._held.append(self._rest)
            self._close(time, found)
        elif (
            time is not None
            and self._quiet_since is not None
            and time - self._quiet_since > SAME_TIME_S
        ):
            found.append(Pause(self._quiet_since, time))
        self._reset()
        return found

    def _frame(
        self,
        frame: npt.NDArray[np.float32],
        start: float,
        found: list[Speech | Pause],
        *,
        voiced: bool,
    ) -> None:
        end = start + FRAME_S
        if self._speaking:
            self._held.append(frame)
            if voiced:
                samples = np.concatenate(self._held)
                found.append(Speech(samples, end - len(samples) / SAMPLE_RATE, self._segment))
                self._held = []
            elif len(self._held) >= self._min_silence_frames:
                self._close(end, found)
            return

        if self._quiet_since is None:
            self._quiet_since = start
        if voiced or self._onset:
            self._onset.append(frame)
            self._voiced_frames += voiced
            self._held = [] if voiced else [*self._held, frame]
            if self._voiced_frames >= self._min_speech_frames:
                self._open(end, found)
                return
            if len(self._held) >= self._min_silence_frames:
                self._before.extend(self._onset)
                self._forget_onset()
        else:
            self._before.append(frame)
        if end - self._quiet_since >= PAUSE_S - FRAME_S / 2 and not self._onset:
            found.append(Pause(self._quiet_since, end))
            self._quiet_since = end

    def _open(self, end: float, found: list[Speech | Pause]) -> None:
        samples = np.concatenate([*self._before, *self._onset])
        start = end - len(samples) / SAMPLE_RATE
        if self._quiet_since is not None and start - self._quiet_since > SAME_TIME_S:
            found.append(Pause(self._quiet_since, start))
        self._segment += 1
        self._speaking = True
        self._quiet_since = None
        self._before.clear()
        self._forget_onset()
        found.append(Speech(samples, start, self._segment, is_first=True))

    def _close(self, end: float, found: list[Speech | Pause]) -> None:
        """End the segment: of the held silence the padding is speech, the rest a pause."""
        kept = self._held[: self._padding_frames]
        silent = self._held[self._padding_frames :]
        samples = np.concatenate(kept) if kept else np.empty(0, np.float32)
        start = end - sum(len(frame) for frame in self._held) / SAMPLE_RATE
        speech_end = start + len(samples) / SAMPLE_RATE
        found.append(Speech(samples, start, self._segment, is_last=True))
        found.append(Pause(speech_end, max(speech_end, end)))
        self._speaking = False
        self._held = []
        self._before.extend(silent)
        self._quiet_since = end

    def _forget_onset(self) -> None:
        self._onset = []
        self._held = []
        self._voiced_frames = 0


def _joined(found: list[Speech | Pause]) -> list[Speech | Pause]:
    """Join neighbouring pieces of one segment: fewer values for the same sound."""
    joined: list[Speech | Pause] = []
    for item in found:
        last = joined[-1] if joined else None
        if (
            isinstance(item, Speech)
            and isinstance(last, Speech)
            and item.segment == last.segment
            and not last.is_last
        ):
            joined[-1] = Speech(
                np.concatenate([last.samples, item.samples]),
                last.start,
                last.segment,
                is_first=last.is_first,
                is_last=item.is_last,
            )
        else:
            joined.append(item)
    return joined
