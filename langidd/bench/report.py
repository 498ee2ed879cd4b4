"""What `langidd bench` measures, put together."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from langidd.bench.pipeline import cores, find_limit, limit_of
from langidd.bench.stages import measure_stages, windows_per_s
from langidd.model.whisper.open import load_whisper

if TYPE_CHECKING:
    from collections.abc import Callable

    from langidd.bench.pipeline import Load
    from langidd.bench.stages import StageSpeeds
    from langidd.config import ModelSettings

LIMIT_MS: Final = {"cuda": 100.0, "cpu": 250.0}
"""From the end of a window's sound to its decision, for 99 of 100."""

MOST_S: Final = 300.0
"""No further number of sources is begun after this: all of it takes under ten minutes."""

BATCHES: Final = (1, 8, 32)
LENGTHS_S: Final = (1.0, 2.0, 4.0)
USUAL: Final = (32, 2.0)
"""The batch and the length that one figure stands for."""


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run.

    Attributes:
        model: The checkpoint's name.
        device: Where it ran.
        precision: In which it was computed.
        cores: That this process may use.
        load_average: Of the machine at the start, where it says: other work makes all slower.
        scored: Windows a second, log-mel included, by batch and length.
        stages: Each stage alone; None on a GPU.
        limit_ms: What the 99th percentile may be.
        loads: The whole pipeline, by number of sources.

    """

    model: str
    device: str
    precision: str
    cores: int
    load_average: float | None
    scored: dict[tuple[int, float], float]
    stages: StageSpeeds | None
    limit_ms: float
    loads: list[Load]

    @property
    def limit(self) -> Load | None:
        """The most sources that were served in time."""
        return limit_of(self.loads, self.limit_ms)

    def as_json(self) -> dict[str, Any]:
        """Return all figures, the most important ones first."""
        limit, stages = self.limit, self.stages
        usual = {(each.batch, each.length_s): each for each in stages.passes} if stages else {}
        best = usual.get(USUAL) or max(
            usual.values(), key=lambda each: each.share_of_matmul, default=None
        )
        first = self.loads[0] if self.loads else None
        return {
            "precision": self.precision,
            "windows_per_s": self.scored.get(USUAL, max(self.scored.values())),
            "share_of_matmul": best.share_of_matmul if best else None,
            "sources": limit.sources if limit else 0,
            "sources_per_core": limit.sources / self.cores if limit else 0.0,
            "p99_ms": limit.p99_ms if limit else None,
            "cpu_ms_per_source_s": 1e3 * limit.cores / limit.sources if limit else None,
            "memory_mb_per_source": (
                (limit.memory_mb - first.memory_mb) / (limit.sources - first.sources)
                if limit and first and limit.sources > first.sources
                else None
            ),
            "limit_ms": self.limit_ms,
            "model": self.model,
            "device": self.device,
            "cores": self.cores,
            "load_average": self.load_average,
            "scored": [
                {"batch": batch, "length_s": length_s, "windows_per_s": speed}
                for (batch, length_s), speed in self.scored.items()
            ],
            "stages": asdict(stages) if stages else None,
            "loads": [asdict(load) for load in self.loads],
        }


def measure(
    settings: ModelSettings,
    *,
    say: Callable[[str], None],
    step_s: float = 15.0,
    repeats: int = 15,
) -> Report:
    """Measure the stages and then the whole pipeline; under ten minutes.

    Args:
        settings: The model and its device.
        say: Called with what is being done.
        step_s: How long each number of sources is measured.
        repeats: The best of so many counts is taken for a stage.

    """
    from langidd.model.whisper.openvino_engine import OpenVinoEngine

    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    say("the stages, one by one …")
    engine = load_whisper(settings, settings.device)
    lengths_s = (30.0,) if engine.context == "padded" else LENGTHS_S
    scored = {
        (batch, length_s): windows_per_s(engine, batch, length_s, repeats)
        for length_s in lengths_s
        for batch in BATCHES
    }
    stages = None
    if isinstance(engine, OpenVinoEngine):
        stages = measure_stages(engine, batches=BATCHES, lengths_s=lengths_s, repeats=repeats)
    device, precision, name = engine.device, engine.precision, engine.name
    del engine
    limit_ms = LIMIT_MS["cpu" if device == "cpu" else "cuda"]

    def on_load(load: Load) -> None:
        say(
            f"{load.sources} sources: median {load.median_ms:.0f} ms, 99 % within "
            f"{load.p99_ms:.0f} ms, {load.dropped} dropped, {load.cores:.2f} cores"
        )

    say("the whole pipeline, with more and more sources …")
    loads = asyncio.run(
        find_limit(settings, limit_ms=limit_ms, step_s=step_s, most_s=MOST_S, on_load=on_load)
    )
    return Report(name, device, precision, cores(), load_average, scored, stages, limit_ms, loads)
