"""What is counted for a source, and that none of it stays when the source is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from langidd.audio.base import SourceCounts
from langidd.observability.metrics import Metrics
from langidd.types import SAMPLE_RATE, Chunk, Decision, Health

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Counted:
    """A source that has survived something."""

    counts = SourceCounts(samples=9, damaged=2, reconnects=7, hanging=1)


def of_source(registry: CollectorRegistry, source: str) -> dict[str, float]:
    """A source's samples, by name and further labels."""
    return {
        "/".join([sample.name, *_further(sample.labels)]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.labels.get("source") == source
    }


def _further(labels: dict[str, str]) -> list[str]:
    return [value for name, value in labels.items() if name not in {"source", "le"}]


def filled() -> Metrics:
    metrics = Metrics()
    metrics.watch("Hall", Counted())
    metrics.health(Health("Hall", "live", since=1.0, reconnects=3))
    metrics.audio("Hall", Chunk(np.zeros(SAMPLE_RATE, np.float32), 1.0, gap=True))
    metrics.scored("Hall")
    metrics.failed("Hall")
    metrics.failed("Hall")
    metrics.dropped("Hall")
    metrics.decision(Decision("Hall", "uz", 0.9, "change", since=1.0, decided_at=2.0), 0.4)
    return metrics


def test_each_outcome_of_a_window_is_a_counter_of_its_own():
    samples = of_source(filled().registry, "hall")
    assert samples["langidd_windows_total"] == 1
    assert samples["langidd_windows_failed_total"] == 2
    assert samples["langidd_windows_dropped_total"] == 1


def test_a_source_is_counted_under_its_topic():
    samples = of_source(filled().registry, "hall")
    assert samples["langidd_source_up"] == 1
    assert samples["langidd_source_state/live"] == 1
    assert samples["langidd_source_state/stalled"] == 0
    assert samples["langidd_source_reconnects"] == 3
    assert samples["langidd_audio_seconds_total"] == 1.0
    assert samples["langidd_audio_gaps_total"] == 1
    assert samples["langidd_decisions_total/uz"] == 1
    assert samples["langidd_decision_latency_seconds_sum"] == 0.4


def test_only_what_is_a_fault_counts_as_one():
    samples = of_source(filled().registry, "hall")
    assert samples["langidd_source_faults_total/damaged"] == 2
    for kind in ("samples", "reconnects", "hanging"):
        assert f"langidd_source_faults_total/{kind}" not in samples


def test_a_source_that_is_removed_leaves_no_series():
    metrics = filled()
    metrics.forget("Hall")
    assert of_source(metrics.registry, "hall") == {}
