"""Recordings through the real pipeline at full speed; the scores are kept on disk.

What the model says of a recording depends on the recording, the model and the settings of
voice activity and windows, not on the decider: so it is computed once, and a sweep of the
decider's settings reads it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from langidd.audio.file import FileSource
from langidd.model.calibration import calibrated_probabilities
from langidd.service.offline import play
from langidd.speech.vad_worker import VadWorker
from langidd.types import Pause, Scores, Span
from langidd_training.data.decoding import AUDIO_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from langidd.config import VadSettings, WindowSettings
    from langidd.model.base import Model, ModelInfo
    from langidd.service.stream import Rule
    from langidd.types import Calibration, Chunk, Decision, Window

_FORMAT: Final = 5  # of the files on disk: another number computes all scores again


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """A recording as the decider gets it; times are seconds into the recording.

    Attributes:
        name: The recording's name.
        items: Scores and pauses, in the order of time.
        audio_s: The recording's length.
        model_s: Seconds that the model took of this machine, when it was scored.
        other_s: Seconds that the rest took beside it (decoding, voice activity, windows).

    """

    name: str
    items: tuple[Scores | Pause, ...]
    audio_s: float
    model_s: float
    other_s: float


def recordings(path: Path) -> list[Path]:
    """Return the recordings of a directory, by name, or the one recording."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in AUDIO_SUFFIXES)


def kind_of(name: str) -> str:
    """Return the kind of a recording: its name without the number at its end."""
    return name.rstrip("0123456789").rstrip("-_ ") or name


class Replay:
    """Scores recordings, with a cache on disk between the model and the decider."""

    def __init__(
        self,
        model: Model,
        fingerprint: str,
        vad: VadSettings,
        windows: WindowSettings,
        *,
        cache: Path | None = None,
    ) -> None:
        """Prepare a replay.

        Args:
            model: Started.
            fingerprint: Of the model's files (`data.fingerprint`); part of the cache's keys.
            vad: Settings of voice activity and segments.
            windows: Settings of windows.
            cache: Where scores are kept; None: nowhere.

        """
        info = model.info()
        self._model, self._vad, self._windows = model, vad, windows
        self._calibration = info.calibration
        self._cache = cache
        self._about = {
            "format": _FORMAT,
            "vad": _numbers(vad, _VAD),
            "windows": _numbers(windows, _WINDOWS),
            "model": fingerprint,
            "context": info.context,
            "precision": info.precision,
        }

    def score(self, recording: Path) -> ScoredRecording:
        """Score a recording, or read its scores from the cache.

        Raises:
            SourceError: The recording cannot be decoded.
            ModelError: The model can score nothing any more.

        """
        if self._cache is None:
            return asyncio.run(self._score(recording))
        with recording.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        stored = self._cache / f"{_digest(content, self._about)}.npz"
        if stored.is_file():
            return _read(stored, recording.stem, self._calibration)
        scored = asyncio.run(self._score(recording))
        self._cache.mkdir(parents=True, exist_ok=True)
        _write(stored, scored)
        return scored

    async def _score(self, recording: Path) -> ScoredRecording:
        began = time.perf_counter()
        name = recording.stem
        source = FileSource(name, recording, started_at=0.0)
        sound, model, items = _Measured(source.chunks), _Timed(self._model), _Collected()
        vad_worker = VadWorker()
        try:
            await play(
                name,
                sound.chunks,
                items,
                model=model,
                vad_worker=vad_worker,
                vad=self._vad,
                windows=self._windows,
            )
        finally:
            vad_worker.close()
        return ScoredRecording(
            name=name,
            items=tuple(items.items),
            audio_s=sound.length_s,
            model_s=model.seconds,
            other_s=max(0.0, time.perf_counter() - began - model.seconds),
        )


class _Collected:
    """A rule that decides nothing and keeps what it gets."""

    def __init__(self) -> None:
        self.items: list[Scores | Pause] = []

    def update(self, scores: Scores) -> None:
        self.items.append(scores)

    def pause(self, pause: Pause) -> None:
        self.items.append(pause)


class _Measured:
    """Passes chunks on and keeps how far they reached."""

    def __init__(self, chunks: Callable[[], AsyncGenerator[Chunk]]) -> None:
        self._chunks = chunks
        self.length_s = 0.0

    async def chunks(self) -> AsyncGenerator[Chunk]:
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                self.length_s = chunk.ends_at
                yield chunk


class _Timed:
    """Passes windows on to a model and keeps how long it took."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.seconds = 0.0

    async def start(self) -> None:
        await self._model.start()

    async def close(self) -> None:
        await self._model.close()

    def info(self) -> ModelInfo:
        return self._model.info()

    async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
        began = time.perf_counter()
        found = await self._model.score(windows)
        self.seconds += time.perf_counter() - began
        return found


def decide(scored: ScoredRecording, rule: Rule) -> list[Decision]:
    """Give a rule a recording's scores and pauses; returns what it would have published."""
    decisions: list[Decision] = []
    for item in scored.items:
        decision = rule.pause(item) if isinstance(item, Pause) else rule.update(item)
        if decision is not None:
            decisions.append(decision)
    return decisions


_VAD: Final = (
    "engine",
    "aggressiveness",
    "threshold",
    "min_silence_s",
    "min_speech_s",
    "prefix_padding_s",
)
_WINDOWS: Final = ("hop_s", "length_s", "first_s")


def _numbers(settings: object, names: Sequence[str]) -> dict[str, object]:
    return {name: getattr(settings, name) for name in names}


def _digest(content: str, settings: dict[str, object]) -> str:
    text = content + json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _write(path: Path, scored: ScoredRecording) -> None:
    rows = []
    for item in scored.items:
        if isinstance(item, Pause):
            rows.append((0.0, item.start, item.end, float(item.gap), 0.0, 0.0, 0.0, 0.0))
            continue
        span = item.span
        rows.append(
            (1.0, span.start, span.end, float(span.number), span.new_s, float(span.segment),
             float(span.is_first), float(span.is_last))
        )  # fmt: skip
    logits = [item.logits for item in scored.items if isinstance(item, Scores)]
    partial = path.with_suffix(f".{time.time_ns()}.part")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            rows=np.array(rows, np.float64).reshape(-1, 8),
            logits=np.array(logits, np.float32),
            times=np.array((scored.audio_s, scored.model_s, scored.other_s)),
        )
    partial.replace(path)


def _read(path: Path, name: str, calibration: Calibration) -> ScoredRecording:
    with np.load(path) as stored:  # numpy refuses pickled content unless asked
        rows, logits = stored["rows"].tolist(), iter(stored["logits"])
        audio_s, model_s, other_s = stored["times"].tolist()
    items: list[Scores | Pause] = []
    for kind, start, end, third, new_s, segment, is_first, is_last in rows:
        if kind == 0.0:
            items.append(Pause(start, end, gap=bool(third)))
            continue
        span = Span(
            name, int(third), start, end, new_s, int(segment), bool(is_first), bool(is_last)
        )
        row = next(logits)
        probabilities = calibrated_probabilities(row, span.duration_s, calibration)
        items.append(Scores(span, row, probabilities))
    return ScoredRecording(name, tuple(items), audio_s, model_s, other_s)
