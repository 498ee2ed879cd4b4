"""The thread that owns the model.

Everything that touches the device happens in this one thread, so the event loop never
waits for it. Here also lies what can go wrong on a device: a batch that does not fit is
halved, a device that is lost gives way to the CPU, and a window that the model cannot
take costs that window only.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from langidd.model.whisper.torch_engine import Classifier


T = TypeVar("T")

log = logging.getLogger(__name__)


class ClassifierWorker:
    """One model in one thread; `load` is called there, so that it belongs to it."""

    def __init__(self, load: Callable[[], Classifier], *, cpu_fallback: bool = True) -> None:
        self._load = load
        self._cpu_fallback = cpu_fallback
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classifier")
        self._classifier: Classifier | None = None
        self._most: int | None = None

    @property
    def classifier(self) -> Classifier:
        """The model, once `start` is through."""
        if self._classifier is None:
            raise ModelError("the model is not loaded yet")
        return self._classifier

    async def start(self) -> None:
        """Load the model and run it once; raises `ModelError`."""
        self._classifier = await self._in_thread(self._load_and_warm)

    async def logits(
        self, windows: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32] | None]:
        """Score windows; each row is `(labels,) float32`, or None where the model failed on it.

        Raises `ModelError` where the device is lost and nothing can take its place.
        """
        return await self._in_thread(lambda: self._score(windows))

    def close(self) -> None:
        """Let the thread end once its batch is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _load_and_warm(self) -> Classifier:
        classifier = self._load()
        try:
            classifier.warm_up()
        except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
            self._give_way_to_cpu(classifier, error)
            classifier.warm_up()
        return classifier

    def _score(
        self, windows: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32] | None]:
        if self._most is not None and len(windows) > self._most:
            return self._halves(windows, self._most)
        try:
            return list(self.classifier.logits(windows))
        except torch.OutOfMemoryError as error:
            return self._out_of_memory(windows, error)
        except torch.AcceleratorError as error:
            self._give_way_to_cpu(self.classifier, error)
            return self._score(windows)
        except Exception as error:
            if len(windows) > 1:
                return self._halves(windows, len(windows) // 2)
            log.exception(
                "a window of %.1f s failed in the model (%s); it is left out",
                len(windows[0]) / 16_000,
                type(error).__name__,
            )
            return [None]

    def _halves(
        self, windows: Sequence[npt.NDArray[np.float32]], size: int
    ) -> list[npt.NDArray[np.float32] | None]:
        return [
            row
            for first in range(0, len(windows), size)
            for row in self._score(windows[first : first + size])
        ]

    def _out_of_memory(
        self, windows: Sequence[npt.NDArray[np.float32]], error: Exception
    ) -> list[npt.NDArray[np.float32] | None]:
        if len(windows) > 1:
            self._most = len(windows) // 2
            log.warning(
                "%s is out of memory at a batch of %d windows; langidd goes on with %d at a time",
                self.classifier.device,
                len(windows),
                self._most,
            )
            torch.cuda.empty_cache()
            return self._halves(windows, self._most)
        self._give_way_to_cpu(self.classifier, error)
        return self._score(windows)

    def _give_way_to_cpu(self, classifier: Classifier, error: Exception) -> None:
        if classifier.device == "cpu" or not self._cpu_fallback:
            raise ModelError(f"{classifier.device} failed: {error}") from error
        log.error(
            "%s failed (%s); langidd goes on on the CPU, which is slower: see to the device and "
            "restart",
            classifier.device,
            str(error).splitlines()[0],
        )
        classifier.move_to_cpu()
        self._most = None
