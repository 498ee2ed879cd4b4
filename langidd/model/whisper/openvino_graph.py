"""A Whisper encoder and its head as an OpenVINO graph, straight from a checkpoint.

The layers are those of transformers' `modeling_whisper.py` in evaluation, rearranged where the
result is the same:

- The encoder runs on the frames that are there; its position embeddings are sliced.
- The head on language tokens has one query, start of transcript. A single token attends to
  itself alone, so its self-attention is a linear map. Keys and values of the cross-attention
  are never made for all positions: the query is taken through the keys' weights, and the values'
  weights are applied to the weighted mean of the positions, which costs a fiftieth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from langidd.model.whisper.architecture import EMBEDDING, EMBEDDING_POSITIONS, LAYER_WEIGHTS
from langidd.model.whisper.checkpoint import HEAD_WEIGHT
from langidd.model.whisper.log_mel import FRAMES_PER_POSITION
from langidd.openvino_runtime import op, ov

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from langidd.model.whisper.checkpoint import Checkpoint

Node = Any
"""An output of an OpenVINO operation; the package carries no complete types."""

NORM_EPSILON: Final = 1e-5
"""torch.nn.LayerNorm's default, which Whisper keeps."""

_TO_THE_END: Final = np.iinfo(np.int64).max


FEATURES: Final = "features"
FRAMES: Final = "frames"
"""The names of the graph's inputs."""

EXCLUDED: Final = -1e4
"""Added to an attention score, this makes its share nothing, in half precision too."""


def build_graph(checkpoint: Checkpoint) -> ov.Model:
    """Build the graph from log-mel to logits.

    Windows of different lengths may share a batch: what lies behind a shorter one's end changes
    nothing, to the last digit of the precision used.

    Args:
        checkpoint: The model.

    Returns:
        A model with two inputs and one output, of any batch and number of frames:
        `features`, `(batch, mels, frames) float32`; `frames`, `(batch,) int32`, how many frames
        of each window are there, an even number; logits, `(batch, labels) float32`.

    """
    architecture = checkpoint.architecture
    features = op.parameter([-1, architecture.mels, -1], np.float32, name=FEATURES)
    frames = op.parameter([-1], np.int32, name=FRAMES)
    build = _Builder(checkpoint.tensors)
    mask = _Mask(features, frames)
    states = _encoder(build, features, mask, checkpoint)
    if architecture.head == "classification":
        pooled = mask.mean(build.linear(states, "projector"))
        logits = build.linear(pooled, "classifier")
    else:
        logits = _token_logits(build, states, mask, checkpoint)
    return ov.Model([logits], [features, frames], checkpoint.name)


class _Mask:
    """Which frames and positions of each window are there."""

    def __init__(self, features: Node, frames: Node) -> None:
        # Whole numbers are exact, whatever the precision of the rest.
        numbers = op.range(
            _whole(0), op.gather(op.shape_of(features), _whole(2), _whole(0)), _whole(1), "i32"
        )
        counts = op.unsqueeze(frames, _whole([1]))
        within = op.less(op.unsqueeze(numbers, _whole([0])), counts)
        every = op.slice(
            within, _whole([0]), _whole([_TO_THE_END]), _whole([FRAMES_PER_POSITION]), _whole([1])
        )
        positions = op.convert(every, "f32")
        self.frames = op.unsqueeze(op.convert(within, "f32"), _whole([1]))
        """`(batch, 1, frames)`: 1 where a frame is there, else 0."""
        excluded = op.multiply(op.subtract(positions, _real(1.0)), _real(-EXCLUDED))
        self.scores = op.unsqueeze(excluded, _whole([1]))
        """`(batch, 1, positions)`: what is added to attention scores."""
        self._positions = op.unsqueeze(positions, _whole([2]))
        self._counts = op.divide(op.convert(counts, "f32"), _real(FRAMES_PER_POSITION))

    def mean(self, states: Node) -> Node:
        """The mean over the positions: `(batch, positions, n)` to `(batch, n)`."""
        kept = op.multiply(states, self._positions)
        return op.divide(op.reduce_sum(kept, _whole([1]), keep_dims=False), self._counts)


def _encoder(build: _Builder, features: Node, mask: _Mask, checkpoint: Checkpoint) -> Node:
    architecture = checkpoint.architecture
    hidden = op.gelu(build.convolution(features, "encoder.conv1", stride=1), "erf")
    # What the second convolution sees behind a window's end is then its own zero padding.
    hidden = op.multiply(hidden, mask.frames)
    hidden = op.gelu(build.convolution(hidden, "encoder.conv2", stride=2), "erf")
    hidden = op.transpose(hidden, _whole([0, 2, 1]))
    positions = op.gather(op.shape_of(hidden), _whole([1]), _whole(0))
    embedded = build.constant("encoder.embed_positions.weight")
    embedded = op.slice(embedded, _whole([0]), positions, _whole([1]), _whole([0]))
    hidden = op.add(hidden, embedded)
    states = [hidden]
    for layer in range(architecture.encoder_layers):
        prefix = f"encoder.layers.{layer}"
        normed = build.norm(hidden, f"{prefix}.self_attn_layer_norm")
        attended = build.self_attention(
            normed, mask.scores, f"{prefix}.self_attn", architecture.encoder_heads
        )
        hidden = op.add(hidden, attended)
        hidden = op.add(hidden, build.feed_forward(hidden, prefix))
        states.append(hidden)
    states[-1] = build.norm(hidden, "encoder.layer_norm")
    if not (architecture.head == "classification" and architecture.weighted_layers):
        return states[-1]
    raw = checkpoint.tensors[LAYER_WEIGHTS].astype(np.float64)
    shares = np.exp(raw - raw.max())
    shares /= shares.sum()
    summed = [op.multiply(state, _real(share)) for state, share in zip(states, shares, strict=True)]
    total = summed[0]
    for each in summed[1:]:
        total = op.add(total, each)
    return total


def _token_logits(build: _Builder, states: Node, mask: _Mask, checkpoint: Checkpoint) -> Node:
    architecture, tensors = checkpoint.architecture, checkpoint.tensors
    embeddings = tensors[EMBEDDING]
    # The same for every window, so what follows up to the first cross-attention is a constant.
    hidden = _real(embeddings[:1] + tensors[EMBEDDING_POSITIONS][:1])
    for layer in range(architecture.decoder_layers):
        prefix = f"decoder.layers.{layer}"
        normed = build.norm(hidden, f"{prefix}.self_attn_layer_norm")
        values = build.linear(normed, f"{prefix}.self_attn.v_proj")
        hidden = op.add(hidden, build.linear(values, f"{prefix}.self_attn.out_proj"))
        normed = build.norm(hidden, f"{prefix}.encoder_attn_layer_norm")
        attended = build.pooling_attention(
            normed, states, mask.scores, f"{prefix}.encoder_attn", architecture.decoder_heads
        )
        hidden = op.add(hidden, attended)
        hidden = op.add(hidden, build.feed_forward(hidden, prefix))
    hidden = build.norm(hidden, "decoder.layer_norm")
    logits = op.matmul(hidden, _real(embeddings[1:]), transpose_a=False, transpose_b=True)
    if HEAD_WEIGHT not in tensors:
        return logits
    if tensors[HEAD_WEIGHT].shape[1] > len(embeddings) - 1:
        logits = op.concat([logits, mask.mean(states)], axis=1)
    return build.linear(logits, HEAD_WEIGHT.removesuffix(".weight"))


class _Builder:
    """Whisper's parts as operations on the tensors of one checkpoint."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        self._tensors = tensors

    def constant(self, name: str) -> Node:
        return _real(self._tensors[name])

    def linear(self, inputs: Node, prefix: str) -> Node:
        weight = self.constant(f"{prefix}.weight")
        product = op.matmul(inputs, weight, transpose_a=False, transpose_b=True)
        bias = f"{prefix}.bias"
        return op.add(product, self.constant(bias)) if bias in self._tensors else product

    def norm(self, inputs: Node, prefix: str) -> Node:
        normed = op.mvn(
            inputs,
            _whole([-1]),
            normalize_variance=True,
            eps=NORM_EPSILON,
            eps_mode="inside_sqrt",
        )
        scaled = op.multiply(normed, self.constant(f"{prefix}.weight"))
        return op.add(scaled, self.constant(f"{prefix}.bias"))

    def convolution(self, inputs: Node, prefix: str, stride: int) -> Node:
        found = op.convolution(inputs, self.constant(f"{prefix}.weight"), [stride], [1], [1], [1])
        return op.add(found, _real(self._tensors[f"{prefix}.bias"].reshape(1, -1, 1)))

    def feed_forward(self, inputs: Node, prefix: str) -> Node:
        inner = self.linear(self.norm(inputs, f"{prefix}.final_layer_norm"), f"{prefix}.fc1")
        return self.linear(op.gelu(inner, "erf"), f"{prefix}.fc2")

    def self_attention(self, inputs: Node, mask: Node, prefix: str, heads: int) -> Node:
        """Every position's attention to all of its window.

        Args:
            inputs: `(batch, positions, width)`.
            mask: `(batch, 1, positions)`, added to the scores.
            prefix: Of the tensors' names.
            heads: Attention heads.

        Returns:
            `(batch, positions, width)`.

        """
        width = self._tensors[f"{prefix}.q_proj.weight"].shape[0]
        split = _whole([0, 0, heads, width // heads])

        def by_head(which: str) -> Node:
            projected = self.linear(inputs, f"{prefix}.{which}")
            projected = op.reshape(projected, split, special_zero=True)
            return op.transpose(projected, _whole([0, 2, 1, 3]))

        attended = op.scaled_dot_product_attention(
            by_head("q_proj"), by_head("k_proj"), by_head("v_proj"), op.unsqueeze(mask, _whole([1]))
        )
        joined = op.transpose(attended, _whole([0, 2, 1, 3]))
        joined = op.reshape(joined, _whole([0, 0, width]), special_zero=True)
        return self.linear(joined, f"{prefix}.out_proj")

    def pooling_attention(
        self, query: Node, states: Node, mask: Node, prefix: str, heads: int
    ) -> Node:
        """One query a window over all positions.

        Args:
            query: `(batch or 1, width)`.
            states: `(batch, positions, width)`.
            mask: `(batch, 1, positions)`, added to the scores.
            prefix: Of the tensors' names.
            heads: Attention heads.

        Returns:
            `(batch, width)`.

        """
        width = self._tensors[f"{prefix}.q_proj.weight"].shape[0]
        depth = width // heads

        def by_head(which: str) -> npt.NDArray[np.float32]:
            return self._tensors[f"{prefix}.{which}.weight"].reshape(1, heads, depth, width)

        projected = op.multiply(self.linear(query, f"{prefix}.q_proj"), _real(depth**-0.5))
        split = op.reshape(projected, _whole([-1, heads, 1, depth]), special_zero=False)
        # (batch, heads, 1, depth) x (1, heads, depth, width): what each head looks for.
        sought = op.matmul(split, _real(by_head("k_proj")), transpose_a=False, transpose_b=False)
        sought = op.reshape(sought, _whole([-1, heads, width]), special_zero=False)
        scores = op.matmul(sought, states, transpose_a=False, transpose_b=True)
        shares = op.softmax(op.add(scores, mask), axis=-1)
        pooled = op.matmul(shares, states, transpose_a=False, transpose_b=False)
        pooled = op.reshape(pooled, _whole([-1, heads, 1, width]), special_zero=False)
        values = op.matmul(pooled, _real(by_head("v_proj")), transpose_a=False, transpose_b=True)
        values = op.reshape(values, _whole([-1, width]), special_zero=False)
        values = op.add(values, self.constant(f"{prefix}.v_proj.bias"))
        return self.linear(values, f"{prefix}.out_proj")


def _real(values: Any) -> Node:
    # The graph lives as long as it is compiled, and so do the arrays: no copy is needed.
    return op.constant(np.ascontiguousarray(values, np.float32), shared_memory=True)


def _whole(values: Any) -> Node:
    return op.constant(np.asarray(values, np.int64))
