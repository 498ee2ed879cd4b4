"""The whole way from sound to decisions, with more and more live sources.

The daemon plays the demo's conversation on each source, in a loop and at the pace of the clock.
Sources start one after another, so that their windows do not come all at once. The messages to a
broker, a few a minute and source, are left out.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.config import Settings
from langidd.service.daemon import Daemon
from langidd.speech.frontend import SpeechFrontend
from langidd.types import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from langidd.config import ModelSettings, VadSettings, WindowSettings
    from langidd.speech.base import Frontend
    from langidd.types import Chunk, Pause, Scores

FIRST: Final = (1, 8)
"""Sources of the first steps; then each has half as many again."""

START_EVERY_S: Final = 0.037
"""One source starts after another: no divisor of a hop."""

SETTLE_S: Final = 4.0
"""What comes so soon after a start is not counted."""

NEAR: Final = 1.15
"""The limit is found once what failed is this much above what held."""


@dataclass(frozen=True, slots=True)
class Load:
    """What so many sources at once were like.

    Attributes:
        sources: How many.
        windows_per_s: Windows scored, of all sources.
        median_ms: From the end of a window's sound to its decision; where the window had to wait
            for what comes after it (does the speech go on?), from there.
        p99_ms: The same, of the slowest of a hundred.
        dropped: Windows that were not scored, and chunks that were not read.
        cores: CPU time a second, of the whole process.
        memory_mb: Resident.

    """

    sources: int
    windows_per_s: float
    median_ms: float
    p99_ms: float
    dropped: int
    cores: float
    memory_mb: float


async def find_limit(
    model: ModelSettings,
    *,
    limit_ms: float,
    step_s: float = 15.0,
    most_s: float = 300.0,
    on_load: Callable[[Load], None] | None = None,
) -> list[Load]:
    """Raise the number of sources until decisions come too late or windows are dropped, twice.

    Args:
        model: The model and its device.
        limit_ms: The 99th percentile that decisions may have.
        step_s: How long each number of sources is measured.
        most_s: No further step begins after this.
        on_load: Called with each step's result.

    Returns:
        All steps, in the order in which they were measured.

    """
    measured: list[Load] = []
    held, failed = 0, 0
    async with asyncio.TaskGroup() as tasks:
        ramp = _Ramp(model)
        running = tasks.create_task(ramp.daemon.run())
        ready = tasks.create_task(ramp.daemon.ready.wait())
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        ends = time.monotonic() + most_s
        while not running.done() and time.monotonic() < ends:
            sources = _next(len(measured), held, failed)
            if sources == held:
                break
            load = await ramp.measure(sources, step_s)
            if not holds(load, limit_ms):
                # Once may be the fault of other work on this machine.
                load = await ramp.measure(sources, step_s)
            measured.append(load)
            if on_load is not None:
                on_load(load)
            if holds(load, limit_ms):
                held = max(held, sources)
            else:
                failed = sources
                if sources == 1:
                    break
        ramp.daemon.stop()
    return measured


def holds(load: Load, limit_ms: float) -> bool:
    """Whether so many sources were served in time."""
    return load.dropped == 0 and load.p99_ms <= limit_ms


def limit_of(loads: list[Load], limit_ms: float) -> Load | None:
    """The largest number of sources that was served in time; None: not even one."""
    held = [load for load in loads if holds(load, limit_ms)]
    return max(held, key=lambda load: load.sources, default=None)


def _next(steps: int, held: int, failed: int) -> int:
    """The number of sources to measure next; `held` once the limit is known."""
    if failed:
        return held if failed <= held * NEAR + 1 else (held + failed) // 2
    return FIRST[steps] if steps < len(FIRST) else held + max(1, held // 2)


class _Ramp:
    """A daemon whose sources grow in number."""

    def __init__(self, model: ModelSettings) -> None:
        self._recording = str(resources.files("langidd") / "demo" / "conversation.ogg")
        self._model = model
        self._latencies_ms: list[float] = []
        self._complete: dict[tuple[str, int], float] = {}
        self._sources = 0
        self.daemon = Daemon(
            self._settings(0), on_scores=self._scored, publish=False, frontend=self._timed
        )

    async def measure(self, sources: int, seconds: float) -> Load:
        while self._sources != sources:
            # All that are too many end at once.
            self._sources = min(self._sources + 1, sources)
            await self.daemon.reload(self._settings(self._sources))
            await asyncio.sleep(START_EVERY_S)
        await asyncio.sleep(SETTLE_S)
        self._latencies_ms.clear()
        dropped, cpu_s, began = self._dropped(), time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        took_s = time.monotonic() - began
        latencies = np.array(self._latencies_ms or [float("inf")])
        return Load(
            sources=sources,
            windows_per_s=len(self._latencies_ms) / took_s,
            median_ms=float(np.percentile(latencies, 50, method="nearest")),
            p99_ms=float(np.percentile(latencies, 99, method="nearest")),
            dropped=self._dropped() - dropped,
            cores=(time.process_time() - cpu_s) / took_s,
            memory_mb=self._value("process_resident_memory_bytes") / 1e6,
        )

    def _settings(self, sources: int) -> Settings:
        file: dict[str, Any] = {"file": self._recording, "realtime": True, "loop": True}
        return Settings.model_validate(
            {
                "node": "bench",
                "model": self._model.model_dump(),
                "sources": [{"name": f"source-{n}", **file} for n in range(sources)],
            }
        )

    def _timed(self, source: str, vad: VadSettings, windows: WindowSettings) -> Frontend:
        return _TimedFrontend(SpeechFrontend(source, vad, windows), self._complete)

    def _scored(self, scores: Scores) -> None:
        # The decider takes a window's scores as soon as they are passed on here.
        complete = self._complete.pop((scores.span.source, scores.span.number), scores.span.end)
        self._latencies_ms.append(1e3 * (time.time() - complete))

    def _dropped(self) -> int:
        registry = self.daemon.metrics.registry
        lost = {"langidd_windows_dropped_total", "langidd_windows_failed_total"}
        return sum(
            int(sample.value)
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name in lost or sample.labels.get("kind") == "dropped"
        )

    def _value(self, name: str) -> float:
        return self.daemon.metrics.registry.get_sample_value(name) or float("nan")


class _TimedFrontend:
    """Notes from when on each window could have been cut."""

    def __init__(self, frontend: SpeechFrontend, complete: dict[tuple[str, int], float]) -> None:
        self._frontend = frontend
        self._complete = complete

    def push(self, chunk: Chunk, voiced: npt.NDArray[np.bool_]) -> list[Window | Pause]:
        items = self._frontend.push(chunk, voiced)
        for item in items:
            if isinstance(item, Window):
                span = item.span
                self._complete[span.source, span.number] = max(span.end, chunk.captured_at)
        return items

    def flush(self) -> list[Window | Pause]:
        return self._frontend.flush()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
