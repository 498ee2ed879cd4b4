"""An engine in threads of its own, as a model.

Everything that touches the device happens in those threads, so the event loop never waits for
it. Device faults are handled here: a batch that does not fit is halved, a device that is lost
is replaced by the CPU, and a window on which the engine fails costs that window only.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from langidd.errors import ModelError
from langidd.model.base import DeviceLostError, DeviceMemoryError, ModelInfo
from langidd.model.calibration import calibrated_probabilities
from langidd.types import Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from langidd.model.base import Engine
    from langidd.types import Window

T = TypeVar("T")

log = logging.getLogger(__name__)

WARM_UP_S: Final = (1.0, 1.5, 2.0)
"""Durations of windows with the default settings: a segment's first, and those that follow."""


class EngineModel:
    """A `Model` (langidd.model.base) of one engine; as many batches at a time as that takes."""

    def __init__(
        self, load: Callable[[], Engine], fallback: Callable[[], Engine] | None = None
    ) -> None:
        """Prepare a model; `start` loads it.

        Args:
            load: Loads the engine, in the thread that then uses it, if it is used by one.
            fallback: Loads an engine for the CPU where the device is missing or lost; None:
                that is an error.

        """
        self._load = load
        self._fallback = fallback
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._engine: Engine | None = None
        self._largest_batch: int | None = None
        self._last_failure = ""

    async def start(self) -> None:
        """Load the engine and run it once; raises `ModelError`."""
        await self._in_thread(self._load_and_warm_up)
        if self._loaded.in_flight > 1:
            self._threads.shutdown()
            self._threads = ThreadPoolExecutor(self._loaded.in_flight, thread_name_prefix="model")

    def info(self) -> ModelInfo:
        """Return what the model is, once `start` has returned."""
        engine = self._loaded
        return ModelInfo(
            name=engine.name,
            calibration=engine.calibration,
            device=engine.device,
            precision=engine.precision,
            context=engine.context,
            in_flight=engine.in_flight,
        )

    async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
        """Score a batch; None stands for a window on which the engine failed.

        Raises:
            ModelError: The device is lost, and nothing can replace it.

        """
        return await self._in_thread(lambda: self._score(windows))

    async def close(self) -> None:
        """Let the threads end once their batches are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # In the threads.

    @property
    def _loaded(self) -> Engine:
        if self._engine is None:
            raise ModelError("the model is not loaded yet")
        return self._engine

    def _load_and_warm_up(self) -> None:
        try:
            engine = self._load()
            engine.warm_up(WARM_UP_S)
            self._engine = engine
        except (DeviceLostError, DeviceMemoryError) as error:
            self._use_fallback(error)

    def _score(self, windows: Sequence[Window]) -> list[Scores | None]:
        largest = self._largest_batch
        if largest is not None and len(windows) > largest:
            return self._in_parts(windows, largest)
        try:
            rows = self._loaded.logits([window.samples for window in windows])
        except Exception as error:  # noqa: BLE001 - each kind has its own answer
            failure = error
        else:
            return self._with_probabilities(windows, rows)
        if isinstance(failure, DeviceMemoryError):
            return self._out_of_memory(windows, failure)
        if isinstance(failure, DeviceLostError):
            self._use_fallback(failure)
            return self._score(windows)
        if len(windows) > 1:
            return self._in_parts(windows, len(windows) // 2)
        self._report_failure(windows[0], failure)
        return [None]

    def _with_probabilities(
        self, windows: Sequence[Window], rows: npt.NDArray[np.float32]
    ) -> list[Scores | None]:
        calibration = self._loaded.calibration
        return [
            Scores(
                window.span,
                row,
                calibrated_probabilities(row, window.span.duration_s, calibration),
            )
            for window, row in zip(windows, rows, strict=True)
        ]

    def _report_failure(self, window: Window, error: Exception) -> None:
        """Log why a window failed, once for each cause: a model may fail on every window."""
        failure = f"{type(error).__name__}: {error}"
        if failure != self._last_failure:
            self._last_failure = failure
            log.error(
                "the model failed on a window of %.1f s of source %s, which is left out: %s",
                window.span.duration_s,
                window.span.source,
                failure,
                exc_info=error,
            )

    def _in_parts(self, windows: Sequence[Window], size: int) -> list[Scores | None]:
        return [
            scores
            for first in range(0, len(windows), size)
            for scores in self._score(windows[first : first + size])
        ]

    def _out_of_memory(
        self, windows: Sequence[Window], error: DeviceMemoryError
    ) -> list[Scores | None]:
        if len(windows) == 1:
            self._use_fallback(error)
            return self._score(windows)
        self._largest_batch = len(windows) // 2
        log.warning(
            "%s is out of memory at a batch of %d windows; langidd goes on with %d at a time",
            self._loaded.device,
            len(windows),
            self._largest_batch,
        )
        return self._in_parts(windows, self._largest_batch)

    def _use_fallback(self, error: ModelError) -> None:
        on_cpu = self._engine is not None and self._engine.device == "cpu"
        if self._fallback is None or on_cpu:
            raise error
        log.error(
            "%s; langidd goes on on the CPU, which is slower: see to the device and restart",
            str(error).splitlines()[0],
        )
        self._engine = None
        engine = self._fallback()
        engine.warm_up(WARM_UP_S)
        self._engine, self._largest_batch = engine, None
