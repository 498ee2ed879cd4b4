"""A checkpoint on a device: windows in, logits out, in whatever mixture they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch

from langidd.errors import ModelError
from langidd.model.base import DeviceLostError, DeviceMemoryError
from langidd.model.whisper.torch_checkpoint import Checkpoint, open_checkpoint
from langidd.model.whisper.torch_forward import classify, language_logits
from langidd.model.whisper.torch_log_mel import (
    FRAMES_PER_POSITION,
    HOP_SAMPLES,
    SAMPLES_PER_POSITION,
    LogMel,
)
from langidd.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from langidd.model.whisper.checkpoint import Context
    from langidd.types import Span

CONTEXT_S: Final = 30.0
"""Whisper's context: no clip is longer."""

LENGTHS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, CONTEXT_S)
"""Windows share a trimmed batch where they round up to one of these."""

SHORTEST_POSITIONS: Final = 5
"""A clip under 100 ms is padded to it with silence: the encoder needs something."""


class Classifier:
    """A loaded model (an `Engine` of langidd.model.base); used by one thread."""

    in_flight: Final = 1

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, context: Context | None = None
    ) -> None:
        self.name = checkpoint.name
        self.calibration = checkpoint.calibration
        self.labels = checkpoint.calibration.labels
        self.context: Context = context or checkpoint.context
        config = checkpoint.model.config
        self._tokens = checkpoint.tokens
        least = round(checkpoint.least_context_s * SAMPLE_RATE / SAMPLES_PER_POSITION)
        self._least_positions = max(least, SHORTEST_POSITIONS)
        self._most_samples = config.max_source_positions * SAMPLES_PER_POSITION
        self._mels = int(config.num_mel_bins)
        self._device = device
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        try:
            self._model = checkpoint.model.to(device=device, dtype=self._dtype)  # type: ignore[call-arg] # typed for a model argument by its wrapper
            self._log_mel = LogMel(self._mels, device)
        except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
            raise DeviceLostError(
                f"model {self.name}: cannot be put on {device}: {_first_line(error)}"
            ) from error

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda:0`."""
        return str(self._device)

    @property
    def precision(self) -> str:
        """What it computes in: `f32` or `f16`."""
        return "f16" if self._dtype == torch.float16 else "f32"

    def warm_up(self, durations_s: Iterable[float]) -> None:
        """Run once for each duration (of 30 s where the context is padded)."""
        for seconds in (CONTEXT_S,) if self.context == "padded" else durations_s:
            self.logits([np.zeros(int(seconds * SAMPLE_RATE), np.float32)])

    def logits(
        self,
        windows: Sequence[npt.NDArray[np.float32]],
        spans: Sequence[Span] | None = None,  # noqa: ARG002 - an engine's form
    ) -> npt.NDArray[np.float32]:
        """Score windows of any lengths.

        Args:
            windows: Each `(n,) float32`, 16 kHz; of one longer than 30 s the last 30 s count.
            spans: Where they lie in their sources; nothing is shared between them.

        Returns:
            `(windows, labels) float32`.

        Raises:
            DeviceMemoryError: The batch does not fit the device.
            DeviceLostError: The device failed.
            ModelError: The model gives something that is not a number.

        """
        scores = np.empty((len(windows), len(self.labels)), np.float32)
        if not windows:
            return scores
        try:
            with torch.inference_mode():
                for members in self._groups(windows):
                    scores[members] = self._group_logits([windows[index] for index in members])
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceMemoryError(f"{self.device} is out of memory") from error
        except torch.AcceleratorError as error:
            raise DeviceLostError(f"{self.device} failed: {_first_line(error)}") from error
        if not np.isfinite(scores).all():
            raise ModelError(f"model {self.name}: gave a score that is not a number")
        return scores

    def _groups(self, windows: Sequence[npt.NDArray[np.float32]]) -> list[list[int]]:
        """Indices of windows that go through the encoder together."""
        if self.context == "padded":
            return [list(range(len(windows)))]
        groups: dict[float, list[int]] = {}
        for index, window in enumerate(windows):
            seconds = len(window) / SAMPLE_RATE
            bucket = next((length for length in LENGTHS_S if seconds <= length), CONTEXT_S)
            groups.setdefault(bucket, []).append(index)
        return list(groups.values())

    def _group_logits(self, windows: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        if self.context == "padded":
            samples = np.zeros((len(windows), self._most_samples), np.float32)
            for row, window in zip(samples, windows, strict=True):
                kept = window[-self._most_samples :]
                row[: len(kept)] = kept
            features = self._log_mel(torch.from_numpy(samples).to(self._device))
            return self._forward(features, None)

        clips = [self._whole_positions(window) for window in windows]
        lengths = [len(clip) // HOP_SAMPLES for clip in clips]
        longest = max(lengths)
        if min(lengths) == longest:
            features = self._log_mel(torch.from_numpy(np.stack(clips)).to(self._device))
            return self._forward(features, None)
        features = torch.zeros((len(clips), self._mels, longest), device=self._device)
        for length in set(lengths):
            members = [index for index, other in enumerate(lengths) if other == length]
            same = torch.from_numpy(np.stack([clips[index] for index in members]))
            features[members, :, :length] = self._log_mel(same.to(self._device))
        return self._forward(features, torch.tensor(lengths, device=self._device))

    def _whole_positions(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The window's last samples that fill whole encoder positions."""
        shortest = self._least_positions * SAMPLES_PER_POSITION
        if len(window) < shortest:
            return np.pad(window, (0, shortest - len(window)))
        positions = min(len(window), self._most_samples) // SAMPLES_PER_POSITION
        return window[-positions * SAMPLES_PER_POSITION :]

    def _forward(
        self, features: torch.Tensor, frames: torch.Tensor | None
    ) -> npt.NDArray[np.float32]:
        assert features.shape[-1] % FRAMES_PER_POSITION == 0  # noqa: S101 - an invariant of ours
        features = features.to(self._dtype)
        if self._tokens is None:
            logits = classify(self._model, features, frames)
        else:
            start, *languages = self._tokens
            logits = language_logits(
                self._model, features, frames, start=start, languages=languages
            )
        scores: npt.NDArray[np.float32] = logits.float().cpu().numpy()
        return scores


def load_classifier(
    path: str,
    device: str = "auto",
    context: Literal["auto", "padded", "trimmed"] = "auto",
    threads: int = 0,
) -> Classifier:
    """Open a checkpoint and put it on a device.

    Args:
        path: A bundled name, a directory or a hub name.
        device: `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
        context: Other than the checkpoint's own.
        threads: For the CPU; 0 leaves it to torch.

    Raises:
        DeviceLostError: There is no such device here, or it does not work.
        ModelError: The checkpoint cannot be used.

    """
    if threads > 0:
        torch.set_num_threads(threads)
    chosen = _choose_device(device)
    return Classifier(open_checkpoint(path), chosen, None if context == "auto" else context)


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


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
