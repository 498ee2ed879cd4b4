"""The engine of the CPU: OpenVINO runs a Whisper checkpoint on windows of any lengths."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from langidd.errors import ModelError
from langidd.model.whisper.checkpoint import open_checkpoint
from langidd.model.whisper.log_mel import (
    FRAMES_PER_POSITION,
    HOP_SAMPLES,
    SAMPLES_PER_POSITION,
    log_mel,
)
from langidd.model.whisper.openvino_graph import FEATURES, FRAMES, build_graph
from langidd.model.whisper.passes import Passes
from langidd.openvino_runtime import ov

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from langidd.model.base import Precision
    from langidd.model.whisper.checkpoint import Checkpoint, Context
    from langidd.model.whisper.passes import Pass

log = logging.getLogger(__name__)

BATCHES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Windows of a pass: OpenVINO prepares itself for each shape that it meets, which takes some
15 ms and 2 MB."""

MOST_POSITIONS: Final = 6_400
"""Of all windows of a pass: more fill the memory and are no faster."""

_TYPES: Final[dict[Precision, Any]] = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}


class OpenVinoEngine:
    """A compiled model. `logits` may be called by several threads at once.

    Attributes:
        name: The checkpoint's name.
        labels: In the order of the logits.
        calibration: What the checkpoint says of its scores.
        architecture: Its dimensions.
        context: `padded` or `trimmed`, as it is run.
        device: `cpu`.
        precision: In which the processor multiplies.
        threads: How many cores a pass uses.
        settings: What OpenVINO was told.

    """

    device: Final = "cpu"
    in_flight: Final = 2
    """Callers that `logits` serves best: one computes log-mel while the other's pass runs."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        context: Context | None = None,
        precision: Precision | Literal["auto"] = "auto",
        threads: int = 0,
    ) -> None:
        """Compile a checkpoint.

        Args:
            checkpoint: The model.
            context: Other than the checkpoint's own.
            precision: `auto` is what this processor is fastest in.
            threads: 0 leaves it to OpenVINO: one for each core that this process may use.

        Raises:
            ModelError: The processor has no such precision, or OpenVINO refuses the model.

        """
        self.name = checkpoint.name
        self.calibration = checkpoint.calibration
        self.labels = checkpoint.calibration.labels
        self.context: Context = context or checkpoint.context
        self.architecture = checkpoint.architecture
        self._mels = checkpoint.architecture.mels
        self._passes = Passes(
            self.context,
            checkpoint.architecture.positions,
            BATCHES,
            MOST_POSITIONS,
            least_context_s=checkpoint.least_context_s,
        )
        self.settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Other processes use these cores, too.
            "ENABLE_CPU_PINNING": False,
        }
        if precision != "auto":
            self.settings["INFERENCE_PRECISION_HINT"] = _TYPES[precision]
        self._compiled = self._compile(checkpoint)
        self.threads = int(self._compiled.get_property("INFERENCE_NUM_THREADS"))
        self.precision = self._precision_of(self._compiled)
        if precision not in ("auto", self.precision):
            raise ModelError(
                f"model.precision: this processor does not compute in {precision}; "
                f"auto is {self.precision} here"
            )
        self._requests: deque[Any] = deque()

    def _compile(self, checkpoint: Checkpoint) -> Any:
        try:
            return ov.Core().compile_model(build_graph(checkpoint), "CPU", self.settings)
        except RuntimeError as error:
            text = str(error).strip().splitlines()[-1][:200]
            raise ModelError(f"model {self.name}: cannot be run by OpenVINO: {text}") from error

    @staticmethod
    def _precision_of(compiled: Any) -> Precision:
        used = compiled.get_property("INFERENCE_PRECISION_HINT")
        for name, kind in _TYPES.items():
            if kind == used:
                return name
        raise ModelError(f"OpenVINO computes in {used}, which langidd does not know")

    def warm_up(self, durations_s: Iterable[float], batches: Iterable[int] = (1,)) -> None:
        """Prepare for windows of some lengths, so that the first ones are as fast as later ones.

        Args:
            durations_s: The lengths.
            batches: How many such windows come at once.

        """
        for size, positions in self._passes.shapes(durations_s, batches):
            silence = np.zeros(positions * SAMPLES_PER_POSITION, np.float32)
            self.logits([silence] * size)

    def logits(self, windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Score windows of any lengths.

        Args:
            windows: Each `(n,) float32` at 16 kHz; of one longer than 30 s the last 30 s count.

        Returns:
            `(windows, labels) float32`.

        Raises:
            ModelError: The model gives something that is not a number.

        """
        scores = np.empty((len(windows), len(self.labels)), np.float32)
        for each in self._passes.plan(windows):
            features, frames = self._features(each, [windows[index] for index in each.members])
            scores[each.members] = self.score_features(features, frames)[: len(each.members)]
        if not np.isfinite(scores).all():
            raise ModelError(f"model {self.name}: gave a score that is not a number")
        return scores

    def _features(
        self, shape: Pass, windows: list[npt.NDArray[np.float32]]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        longest = shape.positions * FRAMES_PER_POSITION
        features = np.zeros((shape.size, self._mels, longest), np.float32)
        frames = np.full(shape.size, longest, np.int32)
        for row, window in enumerate(windows):
            kept = self._passes.cut(window)
            frames[row] = len(kept) // HOP_SAMPLES
            # Each by itself: a window's score must not depend, by a rounding, on its company.
            features[row, :, : frames[row]] = log_mel(kept[None], self._mels)[0]
        return features, frames

    def score_features(
        self, features: npt.NDArray[np.float32], frames: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Score log-mel spectrograms in one pass.

        Args:
            features: `(batch, mels, frames) float32`.
            frames: `(batch,) int32`, how many frames of each are there: an even number.

        Returns:
            `(batch, labels) float32`.

        """
        try:
            request = self._requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            outputs = request.infer({FEATURES: features, FRAMES: frames}, share_inputs=True)
            scores: npt.NDArray[np.float32] = outputs[0]
            return scores
        finally:
            self._requests.append(request)


def load_engine(
    path: str,
    *,
    context: Context | Literal["auto"] = "auto",
    precision: Precision | Literal["auto"] = "auto",
    threads: int = 0,
) -> OpenVinoEngine:
    """Open a checkpoint and compile it for the CPU.

    Args:
        path: A bundled name, a directory or a hub name.
        context: `auto` is the checkpoint's own.
        precision: `auto` is what this processor is fastest in.
        threads: 0 leaves it to OpenVINO.

    Raises:
        ModelError: The checkpoint cannot be used, or not in this precision.

    """
    engine = OpenVinoEngine(
        open_checkpoint(path),
        context=None if context == "auto" else context,
        precision=precision,
        threads=threads,
    )
    log.info(
        "model %s: %d labels, context %s, OpenVINO in %s on %d cores",
        engine.name,
        len(engine.labels),
        engine.context,
        engine.precision,
        engine.threads,
    )
    return engine
