"""Whole recordings: the spans of their languages, as the daemon would decide them live."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from langidd.audio.file import FileSource
from langidd.decision.decider import Decider
from langidd.errors import EndsEarlyError
from langidd.speech.frontend import Listener
from langidd.types import NO_SPEECH, UNCERTAIN, Pause, Scores, Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from langidd.config import Settings
    from langidd.model.whisper import Classifier
    from langidd.types import Chunk, Decision

BATCH: Final = 16
"""Windows scored together, and the most that are held at a time."""


class Scorer(Protocol):
    """What scores windows."""

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Score windows: `(windows, labels) float32`."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """A recording: its main language, and its spans (start, end, language, confidence).

    All times are seconds from its start. The main language is the one spoken longest,
    `und` or `zxx` where no language was named; `confidence` is its average. `fault` says
    why the rest of the recording could not be read, "" where all of it was.
    """

    path: Path
    language: str
    confidence: float
    speech_s: float
    duration_s: float
    spans: tuple[tuple[float, float, str, float], ...]
    fault: str = ""


async def hear(
    chunks: AsyncGenerator[Chunk], listener: Listener, scorer: Scorer, *, batch: int = BATCH
) -> AsyncIterator[Scores | Pause]:
    """Give the scores and pauses of a recording, in the order of time.

    At most `batch` windows are held, however long the recording is. Raises what the
    source and the scorer raise; where the recording ends early, after all of its sound.
    """
    waiting: list[Window | Pause] = []
    early: EndsEarlyError | None = None
    try:
        async for chunk in chunks:
            waiting += listener.push(chunk)
            if sum(isinstance(item, Window) for item in waiting) >= batch:
                for item in _scored(waiting, scorer, batch):
                    yield item
                waiting = []
    except EndsEarlyError as error:
        early = error
    for item in _scored([*waiting, *listener.flush()], scorer, batch):
        yield item
    if early is not None:
        raise early


def _scored(items: list[Window | Pause], scorer: Scorer, batch: int) -> list[Scores | Pause]:
    windows = [item for item in items if isinstance(item, Window)]
    scores = []
    for first in range(0, len(windows), batch):
        some = windows[first : first + batch]
        rows = scorer.logits([window.samples for window in some])
        scores += [Scores(window.span, row) for window, row in zip(some, rows, strict=True)]
    following = iter(scores)
    return [item if isinstance(item, Pause) else next(following) for item in items]


def classify_file(
    path: Path,
    classifier: Classifier,
    settings: Settings,
    *,
    candidates: Sequence[str] | None = None,
    track: int | str | None = None,
) -> FileResult:
    """Say what is spoken in a recording, and when.

    Raises `SourceError` where it cannot be decoded, `ConfigError` for a candidate that
    the model does not know.
    """
    decider = Decider(
        path.name, classifier.calibration, settings.decision.decider(), candidates=candidates
    )
    source = FileSource(path.name, path, track=track, started_at=0.0)
    return asyncio.run(_classify(source, path, classifier, settings, decider))


async def _classify(
    source: FileSource, path: Path, classifier: Classifier, settings: Settings, decider: Decider
) -> FileResult:
    timeline = _Timeline()
    listener = Listener(path.name, settings.vad, settings.windows)
    fault = ""
    try:
        async for item in hear(source.chunks(), listener, classifier):
            if isinstance(item, Pause):
                timeline.pause(item, decider.pause(item))
            else:
                timeline.window(item, decider.update(item))
    except EndsEarlyError as error:
        fault = str(error)
    return replace(timeline.result(path), fault=fault)


class _Timeline:
    """Spans as they grow: each begins where the evidence for its language turned."""

    def __init__(self) -> None:
        self._starts: list[tuple[float, str]] = []
        self._weights: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._speech_s = 0.0
        self._end = 0.0

    def window(self, scores: Scores, decision: Decision) -> None:
        """Take what was decided on a window."""
        self._take(decision)
        self._speech_s += scores.span.new_s
        self._end = max(self._end, scores.span.end)
        self._weights[len(self._starts)].append((decision.confidence, scores.span.new_s))

    def pause(self, pause: Pause, decision: Decision | None) -> None:
        """Take a pause, and the decision that it brought."""
        if not pause.gap:
            self._end = max(self._end, pause.end)
        if decision is not None:
            self._take(decision)

    def result(self, path: Path) -> FileResult:
        """Everything, once the recording has ended."""
        spans = []
        seconds: dict[str, float] = defaultdict(float)
        sure: dict[str, float] = defaultdict(float)
        for number, (start, language) in enumerate(self._starts, 1):
            end = self._starts[number][0] if number < len(self._starts) else self._end
            weights = self._weights[number]
            spoken_s = sum(weight for _, weight in weights)
            mean = sum(value * weight for value, weight in weights) / spoken_s if spoken_s else 0.0
            if end > start:
                spans.append((start, end, language, mean))
            seconds[language] += spoken_s
            sure[language] += mean * spoken_s
        named = [language for language in seconds if language not in {UNCERTAIN, NO_SPEECH}]
        spoken = [language for language in named if seconds[language] > 0]
        if spoken:
            main = max(spoken, key=seconds.__getitem__)
        else:
            main = UNCERTAIN if self._speech_s > 0 else NO_SPEECH
        confidence = sure[main] / seconds[main] if seconds[main] else 0.0
        return FileResult(path, main, confidence, self._speech_s, self._end, tuple(spans))

    def _take(self, decision: Decision) -> None:
        """Begin a span where the language is another one; none may begin before its elder."""
        if self._starts and self._starts[-1][1] == decision.language:
            return
        start = decision.since if self._starts else min(decision.since, decision.decided_at)
        earliest = self._starts[-1][0] if self._starts else 0.0
        self._starts.append((max(start, earliest), decision.language))
