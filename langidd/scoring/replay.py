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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from langidd.pipeline import Listener
from langidd.sources.file import FileSource
from langidd.values import Pause, Scores, Span, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd.config import VadSettings, WindowSettings
    from langidd.values import Calibration, Decision

AUDIO_ENDINGS: Final = frozenset({".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".mkv"})
"""What is taken for a recording in a directory."""

_BATCH: Final = 8
_FORMAT: Final = 2  # of the files on disk: another number makes them anew


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

    def of_lengths(self, lengths_s: Iterable[float]) -> Heard:
        """Keep the windows of some of the lengths only: those that would have been made.

        Before a stretch is as long as the shortest of them, one window a hop is kept.
        """
        wanted = sorted(lengths_s)
        kept: list[Scores | Pause] = []
        together: list[Scores] = []

        def settle() -> None:
            for length_s in wanted:
                fitting = [one for one in together if one.span.duration_s <= length_s + 1e-6]
                if fitting and (not kept or kept[-1] is not fitting[-1]):
                    kept.append(fitting[-1])
            together.clear()

        for item in self.items:
            if isinstance(item, Pause):
                settle()
                kept.append(item)
                continue
            if together and abs(together[-1].span.end - item.span.end) > 1e-6:  # noqa: PLR2004 - the same time
                settle()
            together.append(item)
        settle()
        return replace(self, items=tuple(kept))


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
        about = {
            "format": _FORMAT,
            "model": model,
            "context": str(getattr(scorer, "context", "")),
            "vad": _numbers(vad, _VAD),
            "windows": _numbers(windows, _WINDOWS),
        }
        self._key = json.dumps(about, sort_keys=True)

    def hear(self, recording: Path) -> Heard:
        """Hear a recording, or read what was heard before.

        Raises `SourceError` where it cannot be decoded.
        """
        if self._cache is None:
            return self._listen(recording)
        with recording.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        key = hashlib.sha256((content + self._key).encode()).hexdigest()[:24]
        path = self._cache / f"{key}.npz"
        if path.is_file():
            return _read(path, recording.stem)
        heard = self._listen(recording)
        self._cache.mkdir(parents=True, exist_ok=True)
        _write(path, heard, len(self._scorer.calibration.labels))
        return heard

    def _listen(self, recording: Path) -> Heard:
        began = time.perf_counter()
        items, audio_s = asyncio.run(self._windows_of(recording))
        listened = time.perf_counter()
        windows = [item for item in items if isinstance(item, Window)]
        logits = self._classify(windows)
        classified = time.perf_counter()
        scored = iter(Scores(window.span, row) for window, row in zip(windows, logits, strict=True))
        return Heard(
            name=recording.stem,
            items=tuple(item if isinstance(item, Pause) else next(scored) for item in items),
            audio_s=audio_s,
            listen_s=listened - began,
            classify_s=classified - listened,
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


def _write(path: Path, heard: Heard, labels: int) -> None:
    rows, logits = [], []
    for item in heard.items:
        if isinstance(item, Pause):
            rows.append((0.0, item.start, item.end, float(item.gap), 0.0, 0.0, 0.0, 0.0))
            continue
        span = item.span
        rows.append(
            (1.0, span.start, span.end, float(span.number), span.new_s, float(span.stretch),
             float(span.opens), float(span.closes))
        )  # fmt: skip
        logits.append(item.logits)
    partial = path.with_suffix(f".{time.time_ns()}.part")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            rows=np.array(rows, np.float64).reshape(-1, 8),
            logits=np.array(logits, np.float32).reshape(-1, labels),
            times=np.array([heard.audio_s, heard.listen_s, heard.classify_s]),
        )
    partial.replace(path)


def _read(path: Path, name: str) -> Heard:
    with np.load(path) as stored:  # numpy refuses pickled content unless asked
        rows, logits, times = stored["rows"], stored["logits"], stored["times"].tolist()
    items: list[Scores | Pause] = []
    scored = iter(logits)
    for kind, start, end, third, new_s, stretch, opens, closes in rows.tolist():
        if kind == 0.0:
            items.append(Pause(start, end, gap=bool(third)))
            continue
        span = Span(name, int(third), start, end, new_s, int(stretch), bool(opens), bool(closes))
        items.append(Scores(span, next(scored)))
    return Heard(name, tuple(items), *times)
