"""A model whose scores a test chooses, and a loop whose time passes only while all wait."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING

import numpy as np

from langidd.model.base import ModelInfo
from langidd.model.calibration import calibrated_probabilities
from langidd.types import Calibration, Scores, Span, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    import numpy.typing as npt

CALIBRATION = Calibration(("uz", "ru", "en", "other"), unknown=("other",))


class FakeModel:
    """A `Model`; `judge` gives a window's logits, or None where the model fails on it."""

    def __init__(
        self,
        judge: Callable[[Window], Sequence[float] | None],
        *,
        calibration: Calibration = CALIBRATION,
        in_flight: int = 1,
    ) -> None:
        self.judge = judge
        self.calibration = calibration
        self.in_flight = in_flight
        self.batches: list[list[Window]] = []

    async def start(self) -> None:
        """Has nothing to load."""

    async def close(self) -> None:
        """Has nothing to free."""

    def info(self) -> ModelInfo:
        return ModelInfo("fake", self.calibration, "cpu", "f32", "trimmed", self.in_flight)

    async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
        self.batches.append(list(windows))
        return [self._scores(window) for window in windows]

    def _scores(self, window: Window) -> Scores | None:
        logits = self.judge(window)
        return None if logits is None else scored(window.span, logits, self.calibration)


def scored(
    span: Span,
    logits: Sequence[float] | npt.NDArray[np.float32],
    calibration: Calibration = CALIBRATION,
) -> Scores:
    """Return the scores of a window to which a model gives these logits."""
    row = np.asarray(logits, np.float32)
    return Scores(span, row, calibrated_probabilities(row, span.duration_s, calibration))


class _NoWaiting(selectors.DefaultSelector):
    """Where the loop would wait, time jumps to the moment that it waits for."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _NoWaiting()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_in_virtual_time(work: Coroutine[Any, Any, None]) -> None:
    """Run without threads and without waiting: a busy machine changes nothing."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        runner.run(work)
