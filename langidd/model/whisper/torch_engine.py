"""The engine of CUDA: torch runs a Whisper checkpoint on windows of any lengths.

Log-mel is computed on the device, too. It runs on the CPU as well, where tests hold it against
the other engine; `openvino_engine` is several times as fast there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch

from langidd.errors import ModelError
from langidd.model.base import DeviceLostError
from langidd.model.whisper.checkpoint import open_checkpoint
from langidd.model.whisper.log_mel import (
    EDGE_SAMPLES,
    FRAMES_PER_POSITION,
    HOP_SAMPLES,
    SAMPLES_PER_POSITION,
)
from langidd.model.whisper.passes import Passes
from langidd.model.whisper.torch_forward import Whisper, frames_within
from langidd.model.whisper.torch_log_mel import LogMel
from langidd.model.whisper.torch_runner import Runner, first_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from langidd.model.base import Precision
    from langidd.model.whisper.checkpoint import Checkpoint, Context
    from langidd.model.whisper.passes import Pass

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
"""Windows of a pass: each size is captured as a CUDA graph."""

MOST_POSITIONS: Final = 48_000
"""Of all windows of a pass: 32 of 30 s."""

_TYPES: Final = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class Classifier:
    """A loaded model (an `Engine` of langidd.model.base).

    Attributes:
        name: The checkpoint's name.
        labels: In the order of the logits.
        calibration: What the checkpoint says of its scores.
        context: `padded` or `trimmed`, as it is run.
        device: `cpu`, `cuda:0`.
        precision: In which it computes.
        in_flight: Callers that `logits` serves best: on CUDA one prepares its batch while the
            other's runs.

    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        *,
        context: Context | None = None,
        precision: Precision | Literal["auto"] = "auto",
    ) -> None:
        """Put a checkpoint on a device.

        Args:
            checkpoint: The model.
            device: The CPU or a CUDA device.
            context: Other than the checkpoint's own.
            precision: `auto` is f16 on CUDA, f32 on the CPU.

        Raises:
            DeviceLostError: The device fails.

        """
        self.name = checkpoint.name
        self.calibration = checkpoint.calibration
        self.labels = checkpoint.calibration.labels
        self.context: Context = context or checkpoint.context
        self.device = str(device)
        self._on_cuda = device.type == "cuda"
        if precision == "auto":
            precision = "f16" if self._on_cuda else "f32"
        self.precision: Precision = precision
        self.in_flight = 2 if self._on_cuda else 1
        self._passes = Passes(
            self.context,
            checkpoint.architecture.positions,
            BATCHES,
            MOST_POSITIONS,
            least_context_s=checkpoint.least_context_s,
        )
        self._type = _TYPES[precision]
        try:
            self._log_mel = LogMel(checkpoint.architecture.mels, device)
            tensors = {
                name: torch.from_numpy(values).to(device, self._type)
                for name, values in checkpoint.tensors.items()
            }
            self._whisper = Whisper(checkpoint.architecture, tensors)
            self._run = Runner(self._compute, device)
        except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
            raise DeviceLostError(
                f"model {self.name}: cannot be put on {device}: {first_line(error)}"
            ) from error

    def warm_up(self, durations_s: Iterable[float], batches: Iterable[int] = (1,)) -> None:
        """Prepare for windows of some lengths, so that the first ones are as fast as later ones.

        Args:
            durations_s: The lengths.
            batches: How many such windows come at once.

        """
        for size, positions in self._passes.shapes(durations_s, batches):
            silence = np.zeros(positions * SAMPLES_PER_POSITION, np.float32)
            # The second time the shape is captured.
            for _ in range(2 if self._on_cuda else 1):
                self.logits([silence] * size)

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Score windows of any lengths.

        Args:
            windows: Each `(n,) float32`, 16 kHz; of one longer than 30 s the last 30 s count.

        Returns:
            `(windows, labels) float32`.

        Raises:
            DeviceMemoryError: The batch does not fit the device.
            DeviceLostError: The device failed.
            ModelError: The model gives something that is not a number.

        """
        scores = np.empty((len(windows), len(self.labels)), np.float32)
        for each in self._passes.plan(windows):
            samples, frames = self._inputs(each, [windows[index] for index in each.members])
            scores[each.members] = self._run(samples, frames)[: len(each.members)].numpy()
        if not np.isfinite(scores).all():
            raise ModelError(f"model {self.name}: gave a score that is not a number")
        return scores

    def _inputs(
        self, shape: Pass, windows: list[npt.NDArray[np.float32]]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Mirrored samples, and how many frames of each are there where not all are."""
        longest = shape.positions * SAMPLES_PER_POSITION
        samples = self._run.buffer(shape.size, longest + 2 * EDGE_SAMPLES)
        frames = torch.full((shape.size,), shape.positions * FRAMES_PER_POSITION)
        rows = samples.numpy()
        for row, window in enumerate(windows):
            kept = self._passes.cut(window)
            mirrored = np.pad(kept, EDGE_SAMPLES, mode="reflect")
            rows[row, : len(mirrored)] = mirrored
            frames[row] = len(kept) // HOP_SAMPLES
        shorter = bool((frames * HOP_SAMPLES < longest).any())
        return samples, frames if shorter else None

    def _compute(self, samples: torch.Tensor, frames: torch.Tensor | None) -> torch.Tensor:
        count = (samples.shape[1] - 2 * EDGE_SAMPLES) // HOP_SAMPLES
        within = None if frames is None else frames_within(frames, count)
        features = self._log_mel.of_mirrored(samples, within).to(self._type)
        return self._whisper.logits(features, within)


def load_classifier(
    path: str,
    device: str = "auto",
    context: Context | Literal["auto"] = "auto",
    precision: Precision | Literal["auto"] = "auto",
    threads: int = 0,
) -> Classifier:
    """Open a checkpoint and put it on a device.

    Args:
        path: A bundled name, a directory or a hub name.
        device: `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
        context: `auto` is the checkpoint's own.
        precision: `auto` is f16 on CUDA, f32 on the CPU.
        threads: For the CPU; 0 leaves it to torch.

    Raises:
        DeviceLostError: There is no such device here, or it does not work.
        ModelError: The checkpoint cannot be used.

    """
    if threads > 0:
        torch.set_num_threads(threads)
    chosen = _choose_device(device)
    if chosen.type == "cuda":
        # Else torch rounds what convolutions multiply to 10 bits, in f32 too.
        torch.backends.cudnn.allow_tf32 = False
    return Classifier(
        open_checkpoint(path),
        chosen,
        context=None if context == "auto" else context,
        precision=precision,
    )


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    refusal = f"model.device: {device!r}; allowed are auto, cpu, cuda, cuda:N"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(refusal) from error
    if chosen.type == "cpu":
        return chosen
    if chosen.type != "cuda":
        raise ModelError(refusal)
    if torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count():
        return torch.device("cuda", chosen.index or 0)
    raise DeviceLostError(f"model.device: there is no {device} on this machine")
