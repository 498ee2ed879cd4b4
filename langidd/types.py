"""The values that travel between the parts, in the order in which they are made.

    source ─Chunk▶ segmenter ─Speech, Pause▶ windows ─Window, Pause▶ batcher
           ─▶ classifier ─Scores▶ decider ─Decision▶ publisher

All of them are frozen. Every time is the capture time of a sample, in seconds since
the Unix epoch (UTC), so that no part after the source ever asks a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

SAMPLE_RATE: Final = 16_000
"""Samples a second, everywhere after the source (what Whisper was trained on)."""

UNCERTAIN: Final = "und"
"""Speech, but not certain in which language, or in none of the model's (BCP-47)."""

NO_SPEECH: Final = "zxx"
"""Nobody is speaking (BCP-47: no linguistic content)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a source's sound.

    `samples` is `(n,) float32`, mono, 16 kHz, within ±1. `gap` says that sound was
    lost between the chunk before and this one: nothing may straddle it.
    """

    samples: npt.NDArray[np.float32]
    captured_at: float
    gap: bool = False

    @property
    def ends_at(self) -> float:
        """The time one sample after the last."""
        return self.captured_at + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Speech:
    """New speech of a segment: it follows the segment's earlier samples without a hole.

    A segment is speech without a pause longer than the minimum silence. `samples` is
    `(n,) float32`; it may be empty where `is_last` only says that the segment ended.
    """

    samples: npt.NDArray[np.float32]
    start: float
    segment: int
    is_first: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Time without speech: `start` to `end`; `gap` where there was no sound at all."""

    start: float
    end: float
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Where a window lies in its source.

    `number` rises by one with each window of the source. `new_s` is the speech in it
    that no earlier window held (the hop; less for a segment's last window). `is_first`
    and `is_last`: the first and the last window of its segment.
    """

    source: str
    number: int
    start: float
    end: float
    new_s: float
    segment: int
    is_first: bool = False
    is_last: bool = False

    @property
    def duration_s(self) -> float:
        """Seconds of speech in the window."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Window:
    """What the classifier hears at once: `samples` `(n,) float32`, 30 s at most."""

    span: Span
    samples: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the classifier says of one window: `logits` `(labels,) float32`."""

    span: Span
    logits: npt.NDArray[np.float32]


Temperatures = tuple[tuple[float, float], ...]
"""Softmax temperatures: (seconds of a window, temperature), in the order of the seconds."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a checkpoint says of its own scores.

    `labels` in the order of the logits; `unknown` are those that stand for no
    language in particular (an `other` class). The softmax temperature is given at
    some durations and interpolated between them. `unknown_temperatures`, likewise, are
    for the question whether it is one of the languages at all, which a model answers
    less surely than which one it is; none: the same temperature for both, a plain
    softmax. `und_threshold`: a window whose best calibrated probability is below it
    names no language.
    """

    labels: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    temperatures: Temperatures = ((1.0, 1.0),)
    und_threshold: float = 0.5
    unknown_temperatures: Temperatures = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """The labels that are languages."""
        return tuple(label for label in self.labels if label not in self.unknown)


@dataclass(frozen=True, slots=True)
class Decision:
    """What langidd says of a source.

    `reason`: `change` (another language than before), `update` (the same language
    after one more window) or `pause` (a speech segment ended). `since` is when
    the evidence turned to this language, `decided_at` the end of the audio that
    decided it; both are capture times. `probabilities` are the filter's, over the
    source's languages and `und`. `speech_s` counts the speech heard since `since`.
    """

    source: str
    language: str
    confidence: float
    reason: Literal["change", "update", "pause"]
    since: float
    decided_at: float
    previous: str | None = None
    speech_s: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)


SourceState = Literal["connecting", "live", "stalled", "waiting", "ended"]


@dataclass(frozen=True, slots=True)
class Health:
    """How a source is: `detail` says in one line, without secrets, why."""

    source: str
    state: SourceState
    since: float
    detail: str = ""
    reconnects: int = 0
