"""What langidd counts and measures, for Prometheus; `docs/metrics.md` lists every name.

One registry a daemon. Labels are the sources' names as they stand in topics, so there
are as many series as sources and no more.
"""

from __future__ import annotations

import asyncio
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Protocol, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily

from langidd import __version__
from langidd.naming import slug
from langidd.types import SAMPLE_RATE, SourceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langidd.audio import SourceCounts
    from langidd.model.batcher import BatchReport
    from langidd.types import Chunk, Decision, Health

STATES: Final[tuple[SourceState, ...]] = get_args(SourceState)
NO_FAULTS: Final = frozenset({"samples", "hanging", "reconnects"})
"""The counts of a source (langidd.audio.base.SourceCounts) that count no faults."""

LAG_EVERY_S: Final = 0.1
"""How often the event loop's lag is measured."""

BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
SHORT_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LATENCY_S: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Counted(Protocol):
    """A source that counts what it survives."""

    @property
    def counts(self) -> SourceCounts:
        """What it survived so far."""


class SourceFaults:
    """What the sources survived, read from their own counts when Prometheus asks."""

    def __init__(self) -> None:
        self.sources: dict[str, Counted] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give one family: `langidd_source_faults_total{source, kind}`."""
        family = CounterMetricFamily(
            "langidd_source_faults",
            "What a source survived, by kind: damaged packets, dropped chunks and others.",
            labels=["source", "kind"],
        )
        for name, source in list(self.sources.items()):
            for kind, count in asdict(source.counts).items():
                if kind not in NO_FAULTS:
                    family.add_metric([name, kind], count)
        yield family


class Metrics:
    """The counters and gauges of one daemon; everything is set from its event loop."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("langidd_build", "The version that runs.", registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._model = Info("langidd_model", "The checkpoint in use.", registry=registry)
        source = ["source"]
        self._state = Gauge(
            "langidd_source_state",
            "1 for the state that the source is in.",
            [*source, "state"],
            registry=registry,
        )
        self._up = Gauge(
            "langidd_source_up", "1 while audio arrives from the source.", source, registry=registry
        )
        self._reconnects = Gauge(
            "langidd_source_reconnects",
            "Attempts to connect after the first, since the start.",
            source,
            registry=registry,
        )
        self._audio = Counter(
            "langidd_audio_seconds", "Audio that arrived.", source, registry=registry
        )
        self._gaps = Counter(
            "langidd_audio_gaps", "Times that audio was lost.", source, registry=registry
        )
        self._windows = Counter("langidd_windows", "Windows scored.", source, registry=registry)
        self._failed = Counter(
            "langidd_windows_failed",
            "Windows on which the model failed.",
            source,
            registry=registry,
        )
        self._dropped = Counter(
            "langidd_windows_dropped",
            "Windows dropped for newer ones because the model is too slow.",
            source,
            registry=registry,
        )
        self._decisions = Counter(
            "langidd_decisions",
            "Changes of language, by the new language.",
            [*source, "language"],
            registry=registry,
        )
        self._latency = Histogram(
            "langidd_decision_latency_seconds",
            "From the capture of a decision's last sample to the decision.",
            source,
            buckets=LATENCY_S,
            registry=registry,
        )
        self._batch = Histogram(
            "langidd_batch_windows", "Windows in a batch.", buckets=BATCH_SIZES, registry=registry
        )
        self._wait = Histogram(
            "langidd_queue_wait_seconds",
            "How long a batch's oldest window waited.",
            buckets=SHORT_S,
            registry=registry,
        )
        self._inference = Histogram(
            "langidd_inference_seconds",
            "The model's time for a batch.",
            buckets=SHORT_S,
            registry=registry,
        )
        self._faults = SourceFaults()
        registry.register(self._faults)
        self._lag = Histogram(
            "langidd_event_loop_lag_seconds",
            "How late the event loop woke up.",
            buckets=SHORT_S,
            registry=registry,
        )
        self._worst_lag = Gauge(
            "langidd_event_loop_worst_lag_seconds",
            "The longest lag since the start.",
            registry=registry,
        )
        self.worst_lag_s = 0.0

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(f"langidd_{name}", text, registry=self.registry).set_function(read)

    def watch(self, source: str, counted: Counted) -> None:
        """Read a source's own counts from now on."""
        self._faults.sources[slug(source)] = counted

    def model(self, name: str, device: str, labels: tuple[str, ...]) -> None:
        """Say which model runs where."""
        self._model.info({"name": name, "device": device, "labels": ",".join(labels)})

    def health(self, health: Health) -> None:
        """Count a source's state."""
        name = slug(health.source)
        for state in STATES:
            self._state.labels(name, state).set(state == health.state)
        self._up.labels(name).set(health.state == "live")
        self._reconnects.labels(name).set(health.reconnects)

    def audio(self, source: str, chunk: Chunk) -> None:
        """Count a chunk."""
        self._audio.labels(slug(source)).inc(len(chunk.samples) / SAMPLE_RATE)
        if chunk.gap:
            self._gaps.labels(slug(source)).inc()

    def decision(self, decision: Decision, latency_s: float | None) -> None:
        """Count a decision; latency_s is None for audio that was not captured just now."""
        name = slug(decision.source)
        if decision.reason == "change":
            self._decisions.labels(name, decision.language).inc()
        if latency_s is not None and latency_s >= 0:
            self._latency.labels(name).observe(latency_s)

    def scored(self, source: str) -> None:
        """Count a window that was scored."""
        self._windows.labels(slug(source)).inc()

    def batch(self, report: BatchReport) -> None:
        """Count a batch."""
        self._batch.observe(report.windows)
        self._wait.observe(report.oldest_wait_s)
        self._inference.observe(report.inference_s)

    def failed(self, source: str) -> None:
        """Count a window on which the model failed."""
        self._failed.labels(slug(source)).inc()

    def dropped(self, source: str) -> None:
        """Count a window that was dropped because the model is too slow."""
        self._dropped.labels(slug(source)).inc()

    async def measure_lag(self) -> None:
        """Note again and again how late the event loop wakes up, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            late_s = max(0.0, loop.time() - due)
            self._lag.observe(late_s)
            self.worst_lag_s = max(self.worst_lag_s, late_s)
            self._worst_lag.set(self.worst_lag_s)

    def forget(self, source: str) -> None:
        """Remove a source's series."""
        name = slug(source)
        self._faults.sources.pop(name, None)
        for state in STATES:
            self._state.remove_by_labels({"source": name, "state": state})
        for series in (
            self._up,
            self._reconnects,
            self._audio,
            self._gaps,
            self._windows,
            self._failed,
            self._dropped,
            self._decisions,
            self._latency,
        ):
            series.remove_by_labels({"source": name})
