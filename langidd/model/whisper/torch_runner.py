"""Running one computation on a device, for several threads at once.

On CUDA, what is queued for one batch does not wait for the one before: copies go from and to
pinned memory beside the computation, and a shape that comes again is captured as a CUDA graph,
which starts hundreds of kernels in one call.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from langidd.model.base import DeviceLostError, DeviceMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Compute = Callable[[Tensor, Tensor | None], Tensor]

log = logging.getLogger(__name__)

GRAPHS: Final = 64
"""So many shapes are captured; each takes some megabytes on the device."""


@dataclass(slots=True)
class _Program:
    """One shape's tensors on the device, and its graph once it is captured."""

    samples: Tensor
    frames: Tensor | None
    graph: Any = None
    result: Tensor | None = None


class Runner:
    """Runs `compute(samples, frames)` on a device."""

    def __init__(self, compute: Compute, device: torch.device) -> None:
        """Prepare; nothing is run yet.

        Args:
            compute: From samples, and how many frames of each are there (or None: all), to
                scores; all tensors are on the device.
            device: The CPU or a CUDA device.

        """
        self._compute = compute
        self._device = device
        self._on_cuda = device.type == "cuda"
        self._lock = threading.Lock()
        self._programs: dict[tuple[int, int, bool], _Program] = {}
        self._capturing = self._on_cuda
        self._stream = torch.cuda.Stream(device) if self._on_cuda else None
        self._pool = torch.cuda.graph_pool_handle() if self._on_cuda else None

    def buffer(self, rows: int, columns: int) -> Tensor:
        """Return zeros in memory that the device copies from at its own pace."""
        return torch.zeros((rows, columns), pin_memory=self._on_cuda)

    def __call__(self, samples: Tensor, frames: Tensor | None) -> Tensor:
        """Run once; any thread may call.

        Args:
            samples: From `buffer`.
            frames: `(rows,) int64`, or None.

        Returns:
            The scores in float32, on the CPU.

        Raises:
            DeviceMemoryError: It does not fit the device.
            DeviceLostError: The device failed.

        """
        try:
            with torch.inference_mode():
                if not self._on_cuda:
                    return self._compute(samples, frames).float()
                return self._on_stream(samples, frames)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceMemoryError(f"{self._device} is out of memory") from error
        except torch.AcceleratorError as error:
            raise DeviceLostError(f"{self._device} failed: {first_line(error)}") from error

    def _on_stream(self, samples: Tensor, frames: Tensor | None) -> Tensor:
        done = torch.cuda.Event(blocking=True)
        # What one thread has queued runs before what the next one queues, so both may use the
        # same tensors on the device; only the queueing is guarded.
        with self._lock, torch.cuda.stream(self._stream):
            scores = self._queue(samples, frames)
            answer = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
            answer.copy_(scores, non_blocking=True)
            done.record()
        done.synchronize()
        return answer.float()

    def _queue(self, samples: Tensor, frames: Tensor | None) -> Tensor:
        shape = (*samples.shape, frames is not None)
        program = self._programs.get(shape)
        if program is None:
            # The first time libraries prepare themselves, which a graph must not contain.
            program = _Program(
                torch.empty_like(samples, device=self._device),
                None if frames is None else torch.empty_like(frames, device=self._device),
            )
            if len(self._programs) < GRAPHS:
                self._programs[shape] = program
        elif program.graph is None and self._capturing:
            self._capture(program)
        program.samples.copy_(samples, non_blocking=True)
        if frames is not None and program.frames is not None:
            program.frames.copy_(frames.pin_memory(), non_blocking=True)
        if program.graph is None or program.result is None:
            return self._compute(program.samples, program.frames)
        program.graph.replay()
        return program.result

    def _capture(self, program: _Program) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # Graphs run one after another and scores are copied out at once: they share memory.
            with torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=self._stream,
                capture_error_mode="thread_local",
            ):
                program.result = self._compute(program.samples, program.frames)
        except (torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except RuntimeError as error:
            self._capturing = False
            log.warning(
                "%s cannot capture CUDA graphs (%s); langidd goes on without, which is slower",
                self._device,
                first_line(error),
            )
            return
        program.graph = graph


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
