"""The benchmark of the stages measures what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from langidd.bench.stages import measure_stages
from langidd.model.whisper.architecture import Architecture, window_flops
from langidd.model.whisper.openvino_engine import load_engine

if TYPE_CHECKING:
    from pathlib import Path


def test_every_stage_is_measured(stock_model: Path) -> None:
    engine = load_engine(str(stock_model), context="trimmed", precision="f32", threads=1)
    speeds = measure_stages(engine, batches=(1, 2), lengths_s=(1.0, 2.0), sources=(1, 4), repeats=3)
    assert (speeds.precision, speeds.threads) == ("f32", 1)
    assert [(each.batch, each.length_s) for each in speeds.passes] == [
        (1, 1.0),
        (2, 1.0),
        (1, 2.0),
        (2, 2.0),
    ]
    for each in speeds.passes:
        assert each.windows_per_s > 0
        assert each.share_of_matmul == pytest.approx(each.flops_per_s / speeds.matmul_flops_per_s)
    assert speeds.vad_ms.keys() == {1, 4}
    assert speeds.log_mel_ms > 0


def test_a_padded_model_is_measured_at_its_own_length(stock_model: Path) -> None:
    engine = load_engine(str(stock_model), threads=1)
    speeds = measure_stages(engine, batches=(1,), sources=(1,), repeats=1)
    assert [each.length_s for each in speeds.passes] == [30.0]


def test_the_arithmetic_of_whisper_base_is_the_known_one(encoder_weights: Path) -> None:
    # The encoder's 87 GFLOP at 30 s and 4.1 at 2 s.
    config = json.loads((encoder_weights / "config.json").read_text())
    base = Architecture.from_config("base", config, "classification")
    assert window_flops(base, 1500, 3) / 1e9 == pytest.approx(87, rel=0.02)
    assert window_flops(base, 100, 3) / 1e9 == pytest.approx(4.1, rel=0.03)
