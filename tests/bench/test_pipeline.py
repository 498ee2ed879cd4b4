"""The limit is found where decisions come too late, on the daemon's own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langidd.bench import pipeline
from langidd.bench.pipeline import Load, find_limit, holds, limit_of
from langidd.bench.report import Report, measure
from langidd.config import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from langidd.config import ModelSettings


def _load(sources: int, p99_ms: float = 100.0, dropped: int = 0) -> Load:
    return Load(sources, 2.0 * sources, 50.0, p99_ms, dropped, 0.02 * sources, 300.0 + sources)


def _model(place: Path) -> ModelSettings:
    model = {"path": str(place), "context": "trimmed", "threads": 1, "device": "cpu"}
    return Settings.model_validate({"model": model}).model


@pytest.mark.parametrize("limit", [1, 7, 8, 40, 61, 130])
async def test_the_number_of_sources_closes_in_on_the_limit(
    limit: int, stock_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measured(_: object, sources: int, seconds: float) -> Load:
        assert seconds == 9.0
        return _load(sources, 100.0 if sources <= limit else 900.0)

    monkeypatch.setattr(pipeline._Ramp, "measure", measured)
    loads = await find_limit(_model(stock_model), limit_ms=250.0, step_s=9.0)
    found = limit_of(loads, 250.0)
    assert found is not None
    assert limit / 1.16 - 1 <= found.sources <= limit
    assert len(loads) <= 14


async def test_a_machine_that_serves_none_has_no_limit(
    stock_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measured(_: object, sources: int, seconds: float) -> Load:  # noqa: ARG001
        return _load(sources, dropped=1)

    monkeypatch.setattr(pipeline._Ramp, "measure", measured)
    loads = await find_limit(_model(stock_model), limit_ms=250.0)
    assert [load.sources for load in loads] == [1]
    assert limit_of(loads, 250.0) is None


def test_a_dropped_window_is_beyond_the_limit() -> None:
    assert holds(_load(1), 250.0)
    assert not holds(_load(1, dropped=1), 250.0)
    assert not holds(_load(1, p99_ms=251.0), 250.0)


def test_sources_really_play_and_all_figures_are_there(
    stock_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langidd.bench.report.LIMIT_MS", {"cpu": 60_000.0, "cuda": 60_000.0})
    monkeypatch.setattr("langidd.bench.report.MOST_S", 1.0)
    said: list[str] = []
    settings = _model(stock_model)
    report = measure(settings, say=said.append, step_s=4.0, repeats=1)
    (load,) = report.loads
    assert load.sources == 1
    # The conversation begins with speech, and a window comes every half second.
    assert 0.5 <= load.windows_per_s <= 4.0
    assert 0 < load.median_ms <= load.p99_ms < 60_000
    assert load.memory_mb > 50
    assert load.cores > 0
    figures = report.as_json()
    keys = ("precision", "windows_per_s", "share_of_matmul", "sources_per_core", "p99_ms")
    assert all(figures[key] for key in keys)
    assert any("1 sources: median" in line for line in said)


def test_what_a_source_costs_is_what_more_sources_cost_more() -> None:
    loads = [_load(1), _load(8), _load(12, p99_ms=999.0)]
    report = Report("m", "cuda:0", "f16", 2, None, {(32, 2.0): 900.0}, None, 100.0, loads)
    figures = report.as_json()
    assert figures["sources"] == 8
    assert figures["sources_per_core"] == 4.0
    assert figures["memory_mb_per_source"] == pytest.approx(1.0)
    assert figures["cpu_ms_per_source_s"] == pytest.approx(20.0)
    assert figures["share_of_matmul"] is None
