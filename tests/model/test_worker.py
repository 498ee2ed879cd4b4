"""What goes wrong on a device costs as little as it can."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from langidd.errors import ModelError
from langidd.model.whisper import load_classifier
from langidd.model.worker import ClassifierWorker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt


class Device:
    """A model on a device that fails as a test wants; a window's score is its first sample."""

    device = "cuda:0"

    def __init__(self, *, fits: int = 100, lost_at: int | None = None) -> None:
        self.fits = fits
        self.lost_at = lost_at
        self.batches: list[int] = []

    def warm_up(self) -> None:
        self.thread = threading.current_thread().name

    def move_to_cpu(self) -> None:
        self.device = "cpu"

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        if self.device != "cpu" and len(windows) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.device != "cpu" and len(self.batches) == self.lost_at:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        if any(window[0] < 0 for window in windows):
            raise ValueError("negative")
        self.batches.append(len(windows))
        return np.array([window[:1] for window in windows])


def _windows(*firsts: float) -> list[npt.NDArray[np.float32]]:
    return [np.full(16_000, first, np.float32) for first in firsts]


async def _started(device: Any, **settings: Any) -> ClassifierWorker:
    worker = ClassifierWorker(lambda: device, **settings)
    await worker.start()
    return worker


def _values(rows: list[npt.NDArray[np.float32] | None]) -> list[float | None]:
    return [None if row is None else float(row[0]) for row in rows]


async def test_a_batch_that_does_not_fit_is_halved_and_stays_halved() -> None:
    device = Device(fits=2)
    worker = await _started(device)
    assert _values(await worker.logits(_windows(1, 2, 3, 4, 5))) == [1, 2, 3, 4, 5]
    device.batches.clear()
    await worker.logits(_windows(1, 2, 3, 4))
    assert device.batches == [2, 2]
    worker.close()


async def test_one_window_that_does_not_fit_moves_to_the_cpu() -> None:
    device = Device(fits=0)
    worker = await _started(device)
    assert _values(await worker.logits(_windows(1, 2))) == [1, 2]
    assert device.device == "cpu"
    worker.close()


async def test_a_lost_device_gives_way_to_the_cpu_loudly(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(lost_at=0)
    worker = await _started(device)
    with caplog.at_level(logging.ERROR):
        assert _values(await worker.logits(_windows(1, 2))) == [1, 2]
    assert "goes on on the CPU" in caplog.text
    worker.close()


async def test_without_leave_to_fall_back_a_lost_device_is_an_error() -> None:
    worker = await _started(Device(lost_at=0), cpu_fallback=False)
    with pytest.raises(ModelError, match="launch failure"):
        await worker.logits(_windows(1))
    worker.close()


async def test_a_window_that_crashes_the_model_costs_that_window_only() -> None:
    worker = await _started(Device())
    assert _values(await worker.logits(_windows(1, -2, 3, 4, 5))) == [1, None, 3, 4, 5]
    worker.close()


async def test_the_real_model_lives_in_one_thread_of_its_own(stock_model: Path) -> None:
    threads = []

    def load() -> Any:
        threads.append(threading.current_thread())
        return load_classifier(str(stock_model), device="cpu")

    worker = ClassifierWorker(load)
    await worker.start()
    rows = await worker.logits(_windows(0.1, 0.2))
    assert threads[0] is not threading.main_thread()
    assert [row is not None and row.shape for row in rows] == [(3,), (3,)]
    worker.close()
