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
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from langidd.audio.file import FileSource
from langidd.service.offline import hear
from langidd.speech.frontend import Listener
from langidd.types import Pause, Scores, Span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd.config import VadSettings, WindowSettings
    from langidd.service.offline import Scorer
    from langidd.types import Chunk, Decision

AUDIO_ENDINGS: Final = frozenset({".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".mkv"})
"""What is taken for a recording in a directory."""

_FORMAT: Final = 4  # of the files on disk: another number makes them anew


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
            "weights": model,
            "context": str(getattr(scorer, "context", "")),
        }

    def hear(self, recording: Path) -> Heard:
        """Hear a recording, or read what was heard before.

        Raises `SourceError` where the recording cannot be decoded.
        """
        if self._cache is None:
            return asyncio.run(self._hear(recording))
        with recording.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        stored = self._cache / f"{_digest(content, self._about)}.npz"
        if stored.is_file():
            return _read(stored, recording.stem)
        heard = asyncio.run(self._hear(recording))
        self._cache.mkdir(parents=True, exist_ok=True)
        _write(stored, heard)
        return heard

    async def _hear(self, recording: Path) -> Heard:
        began = time.perf_counter()
        source = FileSource(recording.stem, recording, started_at=0.0)
        listener = Listener(recording.stem, self._vad, self._windows)
        sound, scorer = _Measured(source.chunks()), _Timed(self._scorer)
        items = [item async for item in hear(sound.chunks(), listener, scorer)]
        return Heard(
            name=recording.stem,
            items=tuple(items),
            audio_s=sound.length_s,
            listen_s=time.perf_counter() - began - scorer.seconds,
            classify_s=scorer.seconds,
        )


class _Measured:
    """Passes chunks on and keeps how far they reached."""

    def __init__(self, chunks: AsyncGenerator[Chunk]) -> None:
        self._chunks = chunks
        self.length_s = 0.0

    async def chunks(self) -> AsyncGenerator[Chunk]:
        async for chunk in self._chunks:
            self.length_s = chunk.ends_at
            yield chunk


class _Timed:
    """Passes windows on and keeps how long the model took."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.seconds = 0.0

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        began = time.perf_counter()
        found = self._scorer.logits(windows)
        self.seconds += time.perf_counter() - began
        return found


def decide(heard: Heard, rule: Rule) -> list[Decision]:
    """Let a rule hear a recording; give what it would have published."""
    decisions: list[Decision] = []
    for item in heard.items:
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


def _write(path: Path, heard: Heard) -> None:
    rows = []
    for item in heard.items:
        if isinstance(item, Pause):
            rows.append((0.0, item.start, item.end, float(item.gap), 0.0, 0.0, 0.0, 0.0))
            continue
        span = item.span
        rows.append(
            (1.0, span.start, span.end, float(span.number), span.new_s, float(span.segment),
             float(span.is_first), float(span.is_last))
        )  # fmt: skip
    logits = [item.logits for item in heard.items if isinstance(item, Scores)]
    partial = path.with_suffix(f".{time.time_ns()}.part")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            rows=np.array(rows, np.float64).reshape(-1, 8),
            logits=np.array(logits, np.float32),
            times=np.array((heard.audio_s, heard.listen_s, heard.classify_s)),
        )
    partial.replace(path)


def _read(path: Path, name: str) -> Heard:
    with np.load(path) as stored:  # numpy refuses pickled content unless asked
        rows, logits = stored["rows"].tolist(), iter(stored["logits"])
        audio_s, listen_s, classify_s = stored["times"].tolist()
    items: list[Scores | Pause] = []
    for kind, start, end, third, new_s, segment, is_first, is_last in rows:
        if kind == 0.0:
            items.append(Pause(start, end, gap=bool(third)))
            continue
        span = Span(
            name, int(third), start, end, new_s, int(segment), bool(is_first), bool(is_last)
        )
        items.append(Scores(span, next(logits)))
    return Heard(name, tuple(items), audio_s, listen_s, classify_s)
