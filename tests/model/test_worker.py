"""What goes wrong on a device costs as little as it can."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from langidd.config import Settings
from langidd.errors import ModelError
from langidd.model.base import DeviceLostError, DeviceMemoryError
from langidd.model.whisper.open import open_whisper
from langidd.model.whisper.torch_engine import load_classifier
from langidd.model.worker import EngineModel
from langidd.types import Calibration, Span, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from langidd.types import Scores


class Device:
    """An engine that fails as a test wants; a window's score is its first sample."""

    name = "test"
    calibration = Calibration(("uz", "ru"))
    precision = "f32"
    context = "trimmed"
    in_flight = 1

    def __init__(
        self, device: str = "cuda:0", *, fits: int = 100, lost_at: int | None = None
    ) -> None:
        self.device = device
        self.fits = fits
        self.lost_at = lost_at
        self.batches: list[int] = []

    def warm_up(self, durations_s: Iterable[float]) -> None:
        assert list(durations_s)

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        if len(windows) > self.fits:
            raise DeviceMemoryError(f"{self.device} is out of memory")
        if len(self.batches) == self.lost_at:
            raise DeviceLostError(f"{self.device} failed: unspecified launch failure")
        if any(window[0] < 0 for window in windows):
            raise ValueError("negative")
        self.batches.append(len(windows))
        return np.array([[window[0], 0.0] for window in windows], np.float32)


def _windows(*firsts: float) -> list[Window]:
    return [
        Window(Span("a", number, 0.0, 1.0, 1.0, 1), np.full(16_000, first, np.float32))
        for number, first in enumerate(firsts)
    ]


async def _started(device: Any, fallback: Any = None) -> EngineModel:
    model = EngineModel(lambda: device, None if fallback is None else lambda: fallback)
    await model.start()
    return model


def _values(found: list[Scores | None]) -> list[float | None]:
    return [None if scores is None else float(scores.logits[0]) for scores in found]


async def test_scores_come_with_their_windows_and_calibrated_probabilities() -> None:
    model = await _started(Device())
    (scores,) = await model.score(_windows(2))
    assert scores is not None
    assert scores.span.number == 0
    assert scores.probabilities == pytest.approx({"uz": 0.880797, "ru": 0.119203})
    assert model.info().labels == ("uz", "ru")
    await model.close()


async def test_an_engine_that_takes_two_batches_at_a_time_gets_two() -> None:
    both = threading.Barrier(2, timeout=20)

    class Pair(Device):
        in_flight = 2

        def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
            both.wait()
            return super().logits(windows)

    model = await _started(Pair())
    assert model.info().in_flight == 2
    found = await asyncio.gather(model.score(_windows(1)), model.score(_windows(2)))
    assert [_values(scores) for scores in found] == [[1], [2]]
    await model.close()


async def test_a_batch_that_does_not_fit_is_halved_and_stays_halved() -> None:
    device = Device(fits=2)
    model = await _started(device)
    assert _values(await model.score(_windows(1, 2, 3, 4, 5))) == [1, 2, 3, 4, 5]
    device.batches.clear()
    await model.score(_windows(1, 2, 3, 4))
    assert device.batches == [2, 2]
    await model.close()


async def test_one_window_that_does_not_fit_moves_to_the_cpu() -> None:
    model = await _started(Device(fits=0), Device("cpu"))
    assert _values(await model.score(_windows(1, 2))) == [1, 2]
    assert model.info().device == "cpu"
    await model.close()


async def test_a_lost_device_is_replaced_by_the_cpu_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = await _started(Device(lost_at=0), Device("cpu"))
    with caplog.at_level(logging.ERROR):
        assert _values(await model.score(_windows(1, 2))) == [1, 2]
    assert "goes on on the CPU" in caplog.text
    await model.close()


async def test_a_device_that_is_not_there_is_replaced_by_the_cpu_loudly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def missing() -> Any:
        raise DeviceLostError("model.device: there is no cuda:3 on this machine")

    with caplog.at_level(logging.ERROR):
        model = EngineModel(missing, lambda: Device("cpu"))
        await model.start()
    assert model.info().device == "cpu"
    assert "there is no cuda:3 on this machine; langidd goes on on the CPU" in caplog.text
    await model.close()


async def test_without_a_fallback_a_lost_device_is_an_error() -> None:
    model = await _started(Device(lost_at=0))
    with pytest.raises(ModelError, match="launch failure"):
        await model.score(_windows(1))
    await model.close()


async def test_a_window_that_crashes_the_model_costs_that_window_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = await _started(Device())
    assert _values(await model.score(_windows(1, -2, 3, 4, 5))) == [1, None, 3, 4, 5]
    assert _values(await model.score(_windows(-1, -2))) == [None, None]
    assert caplog.text.count("the model failed on a window of 1.0 s") == 1
    assert "ValueError: negative" in caplog.text
    await model.close()


async def test_the_real_model_lives_in_one_thread_of_its_own(stock_model: Path) -> None:
    threads = []

    def load() -> Any:
        threads.append(threading.current_thread())
        return load_classifier(str(stock_model), device="cpu")

    model = EngineModel(load)
    await model.start()
    found = await model.score(_windows(0.1, 0.2))
    assert threads[0] is not threading.main_thread()
    assert [scores is not None and scores.logits.shape for scores in found] == [(3,), (3,)]
    await model.close()


async def test_a_precision_of_the_gpu_does_not_keep_the_cpu_from_taking_over(
    stock_model: Path,
) -> None:
    # No machine has so many; the CPU of most has no f16.
    chosen = {"path": str(stock_model), "device": "cuda:99", "precision": "f16"}
    model = open_whisper(Settings.model_validate({"model": chosen}).model)
    await model.start()
    assert model.info().device == "cpu"
    await model.close()
