"""The stages that compute, each by itself: log-mel, voice activity, encoder.

What is said of the encoder is held against the machine's own matrix products, in the same
precision, on the same cores and in the same run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.model.whisper.architecture import window_flops
from langidd.model.whisper.log_mel import FRAMES_PER_POSITION, SAMPLES_PER_POSITION, log_mel
from langidd.openvino_runtime import op, ov
from langidd.speech.silero import BLOCK_SAMPLES, SileroNetwork
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langidd.model.base import Engine
    from langidd.model.whisper.openvino_engine import OpenVinoEngine

ROWS: Final = 3200
INPUTS: Final = 512
OUTPUTS: Final = 2048
PRODUCTS: Final = 8
"""The measured matrix products: as many rows as a batch of 32 windows of 2 s has positions, and
the feed-forward layers of whisper-base."""

REPEATS: Final = 15
"""The best of so many counts: other processes only ever make it slower."""


@dataclass(frozen=True, slots=True)
class PassSpeed:
    """How fast the encoder and its head score batches of one shape.

    Attributes:
        batch: Windows in a pass.
        length_s: Seconds of each.
        windows_per_s: Log-mel not included.
        flops_per_s: Of the matrix products in it.
        share_of_matmul: Of what the machine's matrix products reach.

    """

    batch: int
    length_s: float
    windows_per_s: float
    flops_per_s: float
    share_of_matmul: float


@dataclass(frozen=True, slots=True)
class StageSpeeds:
    """What the stages cost.

    Attributes:
        precision: In which the model is computed.
        threads: Cores of a pass.
        matmul_flops_per_s: What the machine's matrix products reach in that precision.
        log_mel_ms: Milliseconds for one window of 2 s, on one core.
        vad_ms: Milliseconds for one second of one source's sound, by sources in a step.
        passes: The encoder by batch and length.

    """

    precision: str
    threads: int
    matmul_flops_per_s: float
    log_mel_ms: float
    vad_ms: dict[int, float]
    passes: tuple[PassSpeed, ...]


def measure_stages(
    engine: OpenVinoEngine,
    *,
    batches: Sequence[int] = (1, 8, 32),
    lengths_s: Sequence[float] = (1.0, 2.0, 4.0),
    sources: Sequence[int] = (1, 8, 64),
    repeats: int = REPEATS,
) -> StageSpeeds:
    """Measure every stage on noise.

    Args:
        engine: The model.
        batches: Windows in a pass.
        lengths_s: Seconds of a window; a padded model knows one length only.
        sources: Sources in a step of voice activity.
        repeats: The best of so many counts.

    """
    rng = np.random.default_rng(0)
    peak = _matmul_flops_per_s(engine, repeats)
    if engine.context == "padded":
        lengths_s = (engine.architecture.positions * SAMPLES_PER_POSITION / SAMPLE_RATE,)
    window = (0.1 * rng.standard_normal((1, 2 * SAMPLE_RATE))).astype(np.float32)
    network = SileroNetwork()
    return StageSpeeds(
        precision=engine.precision,
        threads=engine.threads,
        matmul_flops_per_s=peak,
        log_mel_ms=1e3 * _best_s(lambda: log_mel(window, engine.architecture.mels), repeats),
        vad_ms={count: _vad_ms(network, count, rng, repeats) for count in sources},
        passes=tuple(
            _pass_speed(engine, batch, length_s, peak, repeats)
            for length_s in lengths_s
            for batch in batches
        ),
    )


def windows_per_s(engine: Engine, batch: int, length_s: float, repeats: int = REPEATS) -> float:
    """Measure how many windows an engine scores in a second, log-mel included.

    Args:
        engine: The model, on any device.
        batch: Windows at a time.
        length_s: Seconds of each.
        repeats: The best of so many counts.

    """
    rng = np.random.default_rng(0)
    size = round(length_s * SAMPLE_RATE)
    windows = list((0.1 * rng.standard_normal((batch, size))).astype(np.float32))
    engine.logits(windows)  # where shapes are captured, that is the second time they come
    return batch / _best_s(lambda: engine.logits(windows), repeats)


def _pass_speed(
    engine: OpenVinoEngine, batch: int, length_s: float, peak: float, repeats: int
) -> PassSpeed:
    positions = round(length_s * SAMPLE_RATE) // SAMPLES_PER_POSITION
    frames = positions * FRAMES_PER_POSITION
    shape = (batch, engine.architecture.mels, frames)
    features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    counts = np.full(batch, frames, np.int32)
    seconds = _best_s(lambda: engine.score_features(features, counts), repeats)
    flops = batch * window_flops(engine.architecture, positions, len(engine.labels)) / seconds
    return PassSpeed(batch, length_s, batch / seconds, flops, flops / peak)


def _vad_ms(network: SileroNetwork, sources: int, rng: np.random.Generator, repeats: int) -> float:
    rows = [network.open() for _ in range(sources)]
    blocks = (0.1 * rng.standard_normal((sources, BLOCK_SAMPLES))).astype(np.float32)
    seconds = _best_s(lambda: network.step(blocks, rows), repeats)
    for row in rows:
        network.close(row)
    return 1e3 * seconds / sources * SAMPLE_RATE / BLOCK_SAMPLES


def _matmul_flops_per_s(engine: OpenVinoEngine, repeats: int) -> float:
    """Products of large matrices, one after another, as OpenVINO computes them."""
    rng = np.random.default_rng(0)
    inputs = op.parameter([ROWS, INPUTS], np.float32)
    product: Any = inputs
    for _ in range(PRODUCTS // 2):
        for shape in ((INPUTS, OUTPUTS), (OUTPUTS, INPUTS)):
            weight = (rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32)
            product = op.matmul(product, op.constant(weight), transpose_a=False, transpose_b=False)
    # Little is left to copy out.
    result = op.reduce_mean(product, op.constant(np.array([0, 1])), keep_dims=False)
    compiled = ov.Core().compile_model(
        ov.Model([result], [inputs], "matmul"), "CPU", engine.settings
    )
    request = compiled.create_infer_request()
    values = rng.standard_normal((ROWS, INPUTS)).astype(np.float32)
    seconds = _best_s(lambda: request.infer([values], share_inputs=True), repeats)
    return 2.0 * PRODUCTS * ROWS * INPUTS * OUTPUTS / seconds


def _best_s(work: Callable[[], Any], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
