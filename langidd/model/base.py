"""What the model stage promises: the `Model`, and the `Engine` that most models run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from langidd.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from langidd.types import Calibration, Scores, Window

Precision = Literal["f32", "bf16", "f16"]
"""What an engine computes in."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model is.

    Attributes:
        name: As in the configuration: a bundled name, a directory, a hub name.
        calibration: Its labels, in the order of the logits, and what its scores are worth.
        device: Where it runs: `cpu`, `cuda:0`, a host's name.
        precision: What it computes in: `f32`, `bf16`, `f16`.
        context: `padded` (30 s always) or `trimmed` (the window alone).
        in_flight: Batches that it takes at a time.

    """

    name: str
    calibration: Calibration
    device: str
    precision: str
    context: str
    in_flight: int = 1

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the logits."""
        return self.calibration.labels


class Model(Protocol):
    """Scores windows. One model serves all sources; its methods are called in the event loop.

    Another kind of model (a remote one, another classifier) is a class with these methods
    and one line in `langidd.model.registry`.
    """

    async def start(self) -> None:
        """Load the model and run it once.

        Raises:
            ModelError: It cannot be loaded, or does not run.

        """

    def info(self) -> ModelInfo:
        """Return what the model is; valid once `start` has returned."""

    async def score(self, windows: Sequence[Window]) -> list[Scores | None]:
        """Score a batch.

        Up to `info().in_flight` calls may run at a time.

        Args:
            windows: Of any sources and lengths.

        Returns:
            For each window its scores, or None where the model failed on it.

        Raises:
            ModelError: The model can score nothing any more.

        """

    async def close(self) -> None:
        """Free the model; what is being scored is finished or cancelled."""


class Engine(Protocol):
    """A loaded checkpoint on a device (`langidd.model.worker` makes a model of it)."""

    @property
    def name(self) -> str:
        """The checkpoint's name."""

    @property
    def calibration(self) -> Calibration:
        """What the checkpoint says of its scores."""

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda:0`."""

    @property
    def precision(self) -> str:
        """What it computes in: `f32`, `bf16`, `f16`."""

    @property
    def context(self) -> str:
        """Whether windows are filled up to 30 s (`padded`) or not (`trimmed`)."""

    @property
    def in_flight(self) -> int:
        """How many threads may call `logits` at a time."""

    def warm_up(self, durations_s: Iterable[float]) -> None:
        """Run once for each duration, so that the first windows are as fast as later ones."""

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Score windows.

        Args:
            windows: Each `(n,) float32` at 16 kHz, 30 s at most.

        Returns:
            `(windows, labels) float32`.

        Raises:
            DeviceMemoryError: The batch does not fit the device.
            DeviceLostError: The device is gone.

        """


class DeviceMemoryError(ModelError):
    """A batch does not fit the device's memory; a smaller one may."""


class DeviceLostError(ModelError):
    """A device that is not there, or that failed and must not be used again."""
