"""Whole recordings: the spans of their languages, as the daemon would decide them live."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from langidd.audio.file import FileSource
from langidd.decision.decider import Decider
from langidd.errors import EndsEarlyError
from langidd.model.batcher import Batcher
from langidd.service.stream import Stream
from langidd.speech.frontend import SpeechFrontend
from langidd.types import NO_SPEECH, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from langidd.config import Settings, VadSettings, WindowSettings
    from langidd.model.base import Model
    from langidd.service.stream import Rule
    from langidd.speech.vad_worker import VadWorker
    from langidd.types import Chunk, Decision, Pause, Scores

BATCH: Final = 16
"""Windows scored together; twice as many wait at most, however long a recording is."""

DELAY_S: Final = 0.05
"""How long a window waits for others; while the model works, they gather anyway."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """A recording's languages; all times are seconds from its start.

    Attributes:
        path: The recording.
        language: The one spoken longest; `und` or `zxx` where none was named.
        confidence: The mean of its decisions' confidences, weighted by speech.
        speech_s: Seconds of speech.
        duration_s: Where the recording ends.
        spans: Start, end, language, and the mean confidence of the span's decisions.

        fault: Why the rest of the recording could not be read; "" where all of it was.

    """

    path: Path
    language: str
    confidence: float
    speech_s: float
    duration_s: float
    spans: tuple[tuple[float, float, str, float], ...]
    fault: str = ""


async def play(
    name: str,
    chunks: Callable[[], AsyncGenerator[Chunk]],
    rule: Rule,
    *,
    model: Model,
    vad_worker: VadWorker,
    vad: VadSettings,
    windows: WindowSettings,
) -> None:
    """Take a recording through all stages at full speed; `rule` gets its scores and pauses.

    Args:
        name: What the recording is called in spans and errors.
        chunks: Opens the recording.
        rule: Gets scores and pauses, in the order of time.
        model: Started.
        vad_worker: Computes voice activity.
        vad: Settings of voice activity and segments.
        windows: Settings of windows.

    Raises:
        SourceError: The recording cannot be decoded.
        ModelError: The model can score nothing any more.

    """
    batcher = Batcher(model, max_batch=BATCH, max_delay_s=DELAY_S)
    stream = Stream(
        name,
        chunks=chunks,
        voice=vad_worker.open(vad.engine, vad.aggressiveness, vad.threshold),
        frontend=SpeechFrontend(name, vad, windows),
        batcher=batcher,
        rule=rule,
        live=False,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(batcher.run())
            await stream.run()
            scoring.cancel()
    except BaseExceptionGroup as group:
        cause: BaseException = group
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        raise cause from None


async def classify_file(
    path: Path,
    model: Model,
    vad_worker: VadWorker,
    settings: Settings,
    *,
    candidates: Sequence[str] | None = None,
    track: int | str | None = None,
) -> FileResult:
    """Find what is spoken in a recording, and when.

    Args:
        path: The recording.
        model: Started.
        vad_worker: Computes voice activity.
        settings: Of voice activity, windows and decisions.
        candidates: The languages that may be spoken; all of the model's where None.
        track: The audio track, by number or language; the default one where None.

    Raises:
        SourceError: The recording cannot be decoded.
        ConfigError: The model does not know a candidate.
        ModelError: The model can score nothing any more.

    """
    calibration = model.info().calibration
    decider = Decider(path.name, calibration, settings.decision.decider(), candidates=candidates)
    timeline = _Timeline(decider)
    source = FileSource(path.name, path, track=track, started_at=0.0)
    fault = ""

    async def chunks() -> AsyncGenerator[Chunk]:
        nonlocal fault
        try:
            async with aclosing(source.chunks()) as read:
                async for chunk in read:
                    yield chunk
        except EndsEarlyError as error:
            # What came before it is decided all the same.
            fault = str(error)

    await play(
        path.name,
        chunks,
        timeline,
        model=model,
        vad_worker=vad_worker,
        vad=settings.vad,
        windows=settings.windows,
    )
    return replace(timeline.result(path), fault=fault)


class _Timeline:
    """Spans as a decider makes them: each begins where the evidence for its language turned."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._starts: list[tuple[float, str]] = []
        self._weights: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._speech_s = 0.0
        self._end = 0.0

    def update(self, scores: Scores) -> Decision:
        """Take one window's scores."""
        decision = self._decider.update(scores)
        self._take(decision)
        self._speech_s += scores.span.new_s
        self._end = max(self._end, scores.span.end)
        self._weights[len(self._starts)].append((decision.confidence, scores.span.new_s))
        return decision

    def pause(self, pause: Pause) -> Decision | None:
        """Take a pause."""
        decision = self._decider.pause(pause)
        if not pause.gap:
            self._end = max(self._end, pause.end)
        if decision is not None:
            self._take(decision)
        return decision

    def result(self, path: Path) -> FileResult:
        """Return everything, once the recording has ended."""
        spans = []
        seconds: dict[str, float] = defaultdict(float)
        weighted: dict[str, float] = defaultdict(float)
        for number, (start, language) in enumerate(self._starts, 1):
            end = self._starts[number][0] if number < len(self._starts) else self._end
            spoken_s = sum(new_s for _, new_s in self._weights[number])
            total = sum(confidence * new_s for confidence, new_s in self._weights[number])
            if end > start:
                spans.append((start, end, language, _mean(total, spoken_s, language)))
            seconds[language] += spoken_s
            weighted[language] += total
        named = [language for language in seconds if language not in {UNCERTAIN, NO_SPEECH}]
        spoken = [language for language in named if seconds[language] > 0]
        if spoken:
            main = max(spoken, key=seconds.__getitem__)
        else:
            main = UNCERTAIN if self._speech_s > 0 else NO_SPEECH
        confidence = _mean(weighted[main], seconds[main], main)
        return FileResult(path, main, confidence, self._speech_s, self._end, tuple(spans))

    def _take(self, decision: Decision) -> None:
        """Begin a span where the language is another one; none begins before the one before."""
        if self._starts and self._starts[-1][1] == decision.language:
            return
        earliest = self._starts[-1][0] if self._starts else 0.0
        self._starts.append((max(decision.since, earliest), decision.language))


def _mean(total: float, spoken_s: float, language: str) -> float:
    """Return a mean confidence; that nobody speaks needs no speech to be certain."""
    if language == NO_SPEECH:
        return 1.0
    return total / spoken_s if spoken_s else 0.0
