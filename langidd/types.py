"""The values that travel between the stages, in the order in which they are made.

    source ─Chunk▶ segmenter ─Speech, Pause▶ windower ─Window, Pause▶ batcher
           ─▶ model ─Scores▶ decider ─Decision▶ publishers

All of them are frozen. Every time is the capture time of a sample, in seconds since
the Unix epoch (UTC), so that no stage after the source ever asks a clock.
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
    """A piece of one channel of a source's sound.

    Attributes:
        samples: `(n,) float32`, mono, 16 kHz, within ±1.
        captured_at: Capture time of the first sample.
        gap: Sound was lost between the chunk before and this one: no segment or
            window may contain both.
        clock_step_s: How far the wall clock was set between the chunk before and this
            one. Earlier capture times plus `clock_step_s` are times of the new clock.
            A chunk with a step has `gap` too.

    """

    samples: npt.NDArray[np.float32]
    captured_at: float
    gap: bool = False
    clock_step_s: float = 0.0

    @property
    def ends_at(self) -> float:
        """The time one sample after the last."""
        return self.captured_at + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Speech:
    """New speech of a segment; it follows the segment's earlier samples without a hole.

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
    """Time without speech, from `start` to `end`.

    `gap`: there was no sound at all. `clock_step_s`: how far the wall clock was set just
    before `start`, which, like `end`, is a time of the new clock.
    """

    start: float
    end: float
    gap: bool = False
    clock_step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """Where a window lies in its source.

    Attributes:
        source: The source's name.
        number: Rises by one with each window of the source.
        start: Capture time of the first sample.
        end: Capture time of one sample after the last.
        new_s: Seconds of speech in the window that no earlier window held (the hop;
            less for a segment's last window).
        segment: Number of the segment that the window belongs to.
        is_first: It is the first window of its segment.
        is_last: It is the last one.

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
    """What the model scores at once: `samples` `(n,) float32`, 30 s at most."""

    span: Span
    samples: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of one window.

    Attributes:
        span: Where the window lies.
        logits: `(labels,) float32`, in the order of the model's labels.
        probabilities: The same, calibrated: of each label, in that order; they sum to 1.

    """

    span: Span
    logits: npt.NDArray[np.float32]
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DroppedWindow:
    """A window that was not scored.

    `reason`: `overload` (the model is too slow, and a newer window of the source took its
    place) or `failed` (the model raised an error on it, or gave no numbers).
    """

    span: Span
    reason: Literal["overload", "failed"]


Temperatures = tuple[tuple[float, float], ...]
"""Softmax temperatures: (seconds of a window, temperature), in the order of the seconds."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a checkpoint says of its own scores.

    Attributes:
        labels: In the order of the logits.
        unknown: Labels that stand for no language in particular (an `other` class).
        temperatures: Of the softmax, at some durations; interpolated between them.
        und_threshold: A window whose best calibrated probability is below it names no
            language.
        candidates: The languages that a source may speak where its settings name none;
            empty: all of the languages.
        unknown_temperatures: Of the question whether it is one of the languages at all,
            which a model answers less surely than which one it is. None: the same
            temperature for both, a plain softmax.

    """

    labels: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    temperatures: Temperatures = ((1.0, 1.0),)
    und_threshold: float = 0.5
    unknown_temperatures: Temperatures = ()
    candidates: tuple[str, ...] = ()

    @property
    def default_languages(self) -> tuple[str, ...]:
        """The languages that a source may speak where its settings name none."""
        return self.candidates or self.languages

    @property
    def languages(self) -> tuple[str, ...]:
        """The labels that are languages."""
        return tuple(label for label in self.labels if label not in self.unknown)


@dataclass(frozen=True, slots=True)
class Decision:
    """What langidd says of a source.

    Attributes:
        source: The source's name.
        language: A BCP-47 code of the model's set, `und` or `zxx`.
        confidence: The calibrated probability that `language` is right:
            `probabilities[language]`, 1 for `zxx`. For `und` it is the probability that the
            speech is in none of the source's languages, and so it is low where two of them
            are close.
        reason: `change` (another language than before), `update` (the same language
            after one more window) or `pause` (a speech segment ended).
        since: When the evidence turned to this language; never after `decided_at`.
        decided_at: The end of the audio that decided it. Both are capture times.
        previous: The language before, None for the first.
        speech_s: Seconds of speech since `since`.
        probabilities: Of each of the source's languages and `und`, as of now; they are
            calibrated and sum to 1. While debounce or minimum dwell keep a language, another
            may be more probable. For `zxx` there are none.

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
