"""Voice activity of one source, one 30 ms frame at a time.

WebRTC's detector costs almost nothing and calls steady noise and music speech; Silero's
small network settles such cases and costs more. `both` asks Silero only where WebRTC's
detector finds speech. The network's part is left open here, so that one step of it can
serve many sources: `cut` returns the blocks that it has to judge, `finish` takes what it
says of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from langidd.types import Chunk

FRAME_SAMPLES: Final = 480
"""30 ms, the longest frame that WebRTC's detector takes."""

FRAME_S: Final = FRAME_SAMPLES / SAMPLE_RATE

BLOCK_SAMPLES: Final = 512
"""32 ms: what Silero's network takes at 16 kHz."""

SILERO_MARGIN: Final = 0.15
"""Speech lasts until the probability is this far below the threshold (`neg_threshold` in
Silero's own `get_speech_timestamps`)."""

GATE_FRAMES: Final = 10
"""The gate stays open 300 ms after WebRTC's detector last found speech. Silero also gets the
300 ms before it opened, so that its state has settled."""

Engine = Literal["webrtc", "silero", "both"]


@dataclass(frozen=True, slots=True)
class Cut:
    """What a chunk gives the network to do.

    Attributes:
        blocks: `(blocks, 512) float32`, in order.
        restarts: `(blocks,) bool`: the network's state is reset before this block.
        asked: `(frames,) bool`: the frame is within the gate.
        starts: `(frames,) bool`: the gate opened at this frame.
        blocks_until: `(frames,) int`: blocks of this cut that end within the frame or before.

    """

    blocks: npt.NDArray[np.float32]
    restarts: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.bool_]
    blocks_until: npt.NDArray[np.int_]


class VoiceDetector:
    """The gate and the thresholds of one source; not thread-safe.

    `cut` and `finish` are called in turn, once a chunk.
    """

    def __init__(self, engine: Engine, aggressiveness: int, threshold: float) -> None:
        """Start at the beginning of a source's sound.

        Args:
            engine: Which detectors decide.
            aggressiveness: WebRTC's, 0 (finds most speech) to 3 (finds least).
            threshold: Silero's probability from which a block is speech.

        """
        self.needs_network = engine != "webrtc"
        self._has_gate = engine != "silero"
        self._aggressiveness = aggressiveness
        self._threshold = threshold
        self._rest: npt.NDArray[np.float32]
        self._reset()

    def cut(self, chunk: Chunk) -> Cut:
        """Take the next chunk, and find what the network has to judge."""
        if chunk.gap:
            self._reset()
        sound = np.concatenate([self._rest, chunk.samples])
        count = len(sound) // FRAME_SAMPLES
        frames = sound[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
        self._rest = sound[count * FRAME_SAMPLES :]
        found = self._webrtc(frames) if self._has_gate else np.ones(count, np.bool_)
        if not self.needs_network:
            empty = np.empty((0, BLOCK_SAMPLES), np.float32)
            none = np.zeros(count, np.int_)
            return Cut(empty, none[:0].astype(np.bool_), found, none.astype(np.bool_), none)
        return self._gated(frames, found)

    def finish(self, cut: Cut, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which frames are speech.

        Args:
            cut: What `cut` returned for the chunk.
            probabilities: `(blocks,) float32`, of voice, by the network.

        Returns:
            `(frames,) bool`.

        """
        if not self.needs_network:
            return cut.asked
        voiced = np.zeros(len(cut.asked), np.bool_)
        done = 0
        for frame, until in enumerate(cut.blocks_until.tolist()):
            if cut.starts[frame]:
                self._speaking = False
            while done < until:
                margin = SILERO_MARGIN if self._speaking else 0.0
                self._speaking = bool(probabilities[done] >= self._threshold - margin)
                done += 1
            voiced[frame] = cut.asked[frame] and self._speaking
        return voiced

    def _reset(self) -> None:
        import webrtcvad

        self._detector: Any = webrtcvad.Vad(self._aggressiveness)  # type: ignore[no-untyped-call]
        self._rest = np.empty(0, np.float32)
        self._before: deque[npt.NDArray[np.float32]] = deque(maxlen=GATE_FRAMES)
        self._open_frames = 0
        self._waiting: npt.NDArray[np.float32] = np.empty(0, np.float32)
        self._restart = True
        self._speaking = False

    def _webrtc(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        pcm = (np.clip(frames, -1.0, 1.0) * 32767).astype("<i2")
        return np.array(
            [self._detector.is_speech(frame.tobytes(), SAMPLE_RATE) for frame in pcm], np.bool_
        )

    def _gated(self, frames: npt.NDArray[np.float32], found: npt.NDArray[np.bool_]) -> Cut:
        asked, starts = np.zeros(len(frames), np.bool_), np.zeros(len(frames), np.bool_)
        blocks_until = np.zeros(len(frames), np.int_)
        blocks: list[npt.NDArray[np.float32]] = []
        restarts: list[bool] = []
        for index, frame in enumerate(frames):
            fed: list[npt.NDArray[np.float32]] = []
            if found[index]:
                if self._open_frames == 0 and self._has_gate:
                    starts[index] = self._restart = True
                    self._waiting = self._waiting[:0]
                    fed += self._before
                self._open_frames = GATE_FRAMES
            elif self._open_frames > 0:
                self._open_frames -= 1
            self._before.append(frame)
            if self._open_frames > 0:
                asked[index] = True
                waiting = np.concatenate([self._waiting, *fed, frame])
                for _ in range(len(waiting) // BLOCK_SAMPLES):
                    blocks.append(waiting[:BLOCK_SAMPLES])
                    restarts.append(self._restart)
                    waiting = waiting[BLOCK_SAMPLES:]
                    self._restart = False
                self._waiting = waiting
            blocks_until[index] = len(blocks)
        return Cut(
            np.array(blocks, np.float32).reshape(-1, BLOCK_SAMPLES),
            np.array(restarts, np.bool_),
            asked,
            starts,
            blocks_until,
        )
