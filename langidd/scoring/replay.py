"""Recordings through the real pipeline at full speed; the scores are kept on disk.

What the classifier says of a recording depends on the recording, the model's weights
and the settings of segmenter and windows, not on the decider: so it is computed once,
and a sweep of the decider's settings reads it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from langidd.pipeline import Listener
from langidd.sources.file import FileSource
from langidd.values import SAMPLE_RATE, Pause, Scores, Span, Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd.config import VadSettings, WindowSettings
    from langidd.values import Calibration, Decision

AUDIO_ENDINGS: Final = frozenset({".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".mkv"})
"""What is taken for a recording in a directory."""

_BATCH: Final = 8
_FORMAT: Final = 3  # of the files on disk: another number makes them anew


class Scorer(Protocol):
    """What replay needs of a classifier."""

    @property
    def calibration(self) -> Calibration:
        """What the checkpoint says of its scores."""

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Score windows: `(windows, labels) float32`."""


class Rule(Protocol):
    """What decides: the decider, or one of the naive rules."""

    def update(self, scores: Scores) -> Decision:
        """Hear one window's scores."""

    def pause(self, pause: Pause) -> Decision | None:
        """Hear a pause."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as the decider hears it; times are seconds into the recording.

    `listen_s` (decoding, segmenter, windows) and `classify_s` are seconds of this
    machine, when it was heard first.
    """

    name: str
    items: tuple[Scores | Pause, ...]
    audio_s: float
    listen_s: float
    classify_s: float


def recordings(path: Path) -> list[Path]:
    """Give the recordings of a directory, by name, or the one recording."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in AUDIO_ENDINGS)


def kind_of(name: str) -> str:
    """Give the kind of a recording: its name without the number at its end."""
    return name.rstrip("0123456789").rstrip("-_ ") or name


def model_hash(directory: Path) -> str:
    """Give a short hash of a checkpoint's weights."""
    digest = hashlib.sha256()
    for weights in sorted(directory.glob("*.safetensors")):
        with weights.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


class Replay:
    """Hears recordings: listener and classifier, with the cache between them and the decider.

    model: names the model's weights in the cache (`model_hash`). cache None: none is kept.
    """

    def __init__(
        self,
        scorer: Scorer,
        model: str,
        vad: VadSettings,
        windows: WindowSettings,
        *,
        cache: Path | None = None,
    ) -> None:
        self._scorer, self._vad, self._windows = scorer, vad, windows
        self._cache = cache
        self._about = {
            "format": _FORMAT,
            "vad": _numbers(vad, _VAD),
            "windows": _numbers(windows, _WINDOWS),
        }
        self._model = {"weights": model, "context": str(getattr(scorer, "context", ""))}

    def hear(self, recording: Path) -> Heard:
        """Hear a recording, or read what was heard before.

        Where only the model is another, the speech found before is used again.
        Raises `SourceError` where the recording cannot be decoded.
        """
        if self._cache is None:
            return self._scored(recording.stem, *self._listen(recording))
        with recording.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        scores = self._cache / f"{_digest(content, self._about, self._model)}.scores.npz"
        if scores.is_file():
            return _read_scores(scores, recording.stem)
        self._cache.mkdir(parents=True, exist_ok=True)
        speech = self._cache / f"{_digest(content, self._about)}.speech.npz"
        if speech.is_file():
            spans, audio_s, listen_s = _read_speech(speech, recording.stem)
            sound = asyncio.run(_sound(recording))
            items = [item if isinstance(item, Pause) else _window(item, sound) for item in spans]
        else:
            items, audio_s, listen_s = self._listen(recording)
            _write(speech, items, (audio_s, listen_s))
        heard = self._scored(recording.stem, items, audio_s, listen_s)
        times = (heard.audio_s, heard.listen_s, heard.classify_s)
        _write(scores, heard.items, times)
        return heard

    def _listen(self, recording: Path) -> tuple[list[Window | Pause], float, float]:
        began = time.perf_counter()
        items, audio_s = asyncio.run(self._windows_of(recording))
        return items, audio_s, time.perf_counter() - began

    def _scored(
        self, name: str, items: Sequence[Window | Pause], audio_s: float, listen_s: float
    ) -> Heard:
        began = time.perf_counter()
        windows = [item for item in items if isinstance(item, Window)]
        logits = self._classify(windows)
        scored = iter(Scores(window.span, row) for window, row in zip(windows, logits, strict=True))
        return Heard(
            name=name,
            items=tuple(item if isinstance(item, Pause) else next(scored) for item in items),
            audio_s=audio_s,
            listen_s=listen_s,
            classify_s=time.perf_counter() - began,
        )

    async def _windows_of(self, recording: Path) -> tuple[list[Window | Pause], float]:
        listener = Listener(recording.stem, self._vad, self._windows)
        source = FileSource(recording.stem, recording, started_at=0.0)
        items: list[Window | Pause] = []
        audio_s = 0.0
        async for chunk in source.chunks():
            audio_s = chunk.ends_at
            items += listener.push(chunk)
        return items + listener.flush(), audio_s

    def _classify(self, windows: Sequence[Window]) -> npt.NDArray[np.float32]:
        logits = np.zeros((len(windows), len(self._scorer.calibration.labels)), np.float32)
        by_length = sorted(range(len(windows)), key=lambda index: len(windows[index].samples))
        for at in range(0, len(by_length), _BATCH):
            batch = by_length[at : at + _BATCH]
            logits[batch] = self._scorer.logits([windows[index].samples for index in batch])
        return logits


def decide(heard: Heard, rule: Rule) -> list[Decision]:
    """Let a rule hear a recording; give what it would have published."""
    decisions: list[Decision] = []
    for item in heard.items:
        decision = rule.pause(item) if isinstance(item, Pause) else rule.update(item)
        if decision is not None:
            decisions.append(decision)
    return decisions


_VAD: Final = ("engine", "aggressiveness", "threshold", "hang_over_s", "min_speech_s", "padding_s")
_WINDOWS: Final = ("hop_s", "length_s", "first_s")


def _numbers(settings: object, names: Sequence[str]) -> dict[str, object]:
    return {name: getattr(settings, name) for name in names}


def _digest(content: str, *settings: dict[str, Any]) -> str:
    text = content + json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


async def _sound(recording: Path) -> npt.NDArray[np.float32]:
    """Decode a recording whole, every sample at its time; what was lost stays silent."""
    chunks = [
        chunk async for chunk in FileSource(recording.stem, recording, started_at=0.0).chunks()
    ]
    sound = np.zeros(max((_place(chunk.ends_at) for chunk in chunks), default=0), np.float32)
    for chunk in chunks:
        at = _place(chunk.captured_at)
        sound[at : at + len(chunk.samples)] = chunk.samples
    return sound


def _place(time_s: float) -> int:
    return round(time_s * SAMPLE_RATE)


def _window(span: Span, sound: npt.NDArray[np.float32]) -> Window:
    return Window(span, sound[_place(span.start) : _place(span.end)])


def _write(path: Path, items: Sequence[Scores | Window | Pause], times: tuple[float, ...]) -> None:
    rows = []
    for item in items:
        if isinstance(item, Pause):
            rows.append((0.0, item.start, item.end, float(item.gap), 0.0, 0.0, 0.0, 0.0))
            continue
        span = item.span
        rows.append(
            (1.0, span.start, span.end, float(span.number), span.new_s, float(span.stretch),
             float(span.opens), float(span.closes))
        )  # fmt: skip
    logits = [item.logits for item in items if isinstance(item, Scores)]
    partial = path.with_suffix(f".{time.time_ns()}.part")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            rows=np.array(rows, np.float64).reshape(-1, 8),
            logits=np.array(logits, np.float32),
            times=np.array(times),
        )
    partial.replace(path)


def _read_speech(path: Path, name: str) -> tuple[list[Span | Pause], float, float]:
    with np.load(path) as stored:  # numpy refuses pickled content unless asked
        rows, times = stored["rows"], stored["times"].tolist()
    items: list[Span | Pause] = []
    for kind, start, end, third, new_s, stretch, opens, closes in rows.tolist():
        if kind == 0.0:
            items.append(Pause(start, end, gap=bool(third)))
        else:
            items.append(
                Span(name, int(third), start, end, new_s, int(stretch), bool(opens), bool(closes))
            )
    return items, times[0], times[1]


def _read_scores(path: Path, name: str) -> Heard:
    items, audio_s, listen_s = _read_speech(path, name)
    with np.load(path) as stored:
        scored, classify_s = iter(stored["logits"]), float(stored["times"][2])
    return Heard(
        name=name,
        items=tuple(
            item if isinstance(item, Pause) else Scores(item, next(scored)) for item in items
        ),
        audio_s=audio_s,
        listen_s=listen_s,
        classify_s=classify_s,
    )
