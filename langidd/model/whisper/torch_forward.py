"""A Whisper encoder and its head in torch, straight from a checkpoint's tensors.

The layers are those of transformers' `modeling_whisper.py` in evaluation, rearranged as in
`openvino_graph`, where it is said why the result is the same. It is differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from langidd.model.whisper.architecture import EMBEDDING, EMBEDDING_POSITIONS, LAYER_WEIGHTS
from langidd.model.whisper.checkpoint import HEAD_BIAS, HEAD_WEIGHT
from langidd.model.whisper.log_mel import FRAMES_PER_POSITION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from langidd.model.whisper.architecture import Architecture


def frames_within(frames: Tensor, count: int) -> Tensor:
    """Which frames of each window are there.

    Args:
        frames: `(batch,)`, how many of each: an even number.
        count: Of the longest.

    Returns:
        `(batch, 1, count) bool`.

    """
    return torch.arange(count, device=frames.device)[None, None] < frames[:, None, None]


@dataclass(frozen=True, slots=True)
class Whisper:
    """A checkpoint's tensors, on a device and in a precision, with what they mean.

    Attributes:
        architecture: The dimensions, and the head.
        tensors: By the names of `required_tensors`. Of the token embeddings there are only
            start of transcript and the languages, of the token positions only the first.

    """

    architecture: Architecture
    tensors: Mapping[str, Tensor]

    def logits(self, features: Tensor, within: Tensor | None = None) -> Tensor:
        """Score log-mel spectrograms.

        What lies behind a shorter window's end changes nothing.

        Args:
            features: `(batch, mels, frames)`, an even number of frames.
            within: `(batch, 1, frames) bool`, which of them are there; None: all.

        Returns:
            `(batch, labels)`, in the tensors' precision.

        """
        positions = None if within is None else within[..., ::FRAMES_PER_POSITION]
        states = self._encoder(features, within, positions)
        if self.architecture.head == "classification":
            pooled = _mean(self._linear(states, "projector"), positions)
            return self._linear(pooled, "classifier")
        return self._token_logits(states, positions)

    def _encoder(self, features: Tensor, within: Tensor | None, positions: Tensor | None) -> Tensor:
        tensors = self.tensors
        if within is not None:
            features = features * within
        hidden = functional.gelu(self._convolution(features, "encoder.conv1", stride=1))
        if within is not None:
            # What the second convolution sees behind a window's end is its own zero padding.
            hidden = hidden * within
        hidden = functional.gelu(self._convolution(hidden, "encoder.conv2", stride=2))
        hidden = hidden.transpose(1, 2)
        hidden = hidden + tensors["encoder.embed_positions.weight"][: hidden.shape[1]]
        mask = None if positions is None else positions[:, None]
        states = [hidden]
        for layer in range(self.architecture.encoder_layers):
            prefix = f"encoder.layers.{layer}"
            normed = self._norm(hidden, f"{prefix}.self_attn_layer_norm")
            hidden = hidden + self._self_attention(normed, mask, f"{prefix}.self_attn")
            hidden = hidden + self._feed_forward(hidden, prefix)
            states.append(hidden)
        states[-1] = self._norm(hidden, "encoder.layer_norm")
        if LAYER_WEIGHTS not in tensors:
            return states[-1]
        shares = functional.softmax(tensors[LAYER_WEIGHTS], dim=0)
        return (torch.stack(states, dim=1) * shares[:, None, None]).sum(dim=1)

    def _token_logits(self, states: Tensor, positions: Tensor | None) -> Tensor:
        tensors = self.tensors
        embeddings = tensors[EMBEDDING]
        hidden = embeddings[:1] + tensors[EMBEDDING_POSITIONS]
        for layer in range(self.architecture.decoder_layers):
            prefix = f"decoder.layers.{layer}"
            normed = self._norm(hidden, f"{prefix}.self_attn_layer_norm")
            own = self._linear(normed, f"{prefix}.self_attn.v_proj")
            hidden = hidden + self._linear(own, f"{prefix}.self_attn.out_proj")
            normed = self._norm(hidden, f"{prefix}.encoder_attn_layer_norm")
            attended = self._pooling_attention(normed, states, positions, f"{prefix}.encoder_attn")
            hidden = hidden + attended
            hidden = hidden + self._feed_forward(hidden, prefix)
        hidden = self._norm(hidden, "decoder.layer_norm")
        logits = hidden @ embeddings[1:].T
        if HEAD_WEIGHT not in tensors:
            return logits
        if tensors[HEAD_WEIGHT].shape[1] > len(embeddings) - 1:
            logits = torch.cat([logits, _mean(states, positions)], dim=1)
        return functional.linear(logits, tensors[HEAD_WEIGHT], tensors[HEAD_BIAS])

    def _linear(self, inputs: Tensor, prefix: str) -> Tensor:
        weight = self.tensors[f"{prefix}.weight"]
        return functional.linear(inputs, weight, self.tensors.get(f"{prefix}.bias"))

    def _norm(self, inputs: Tensor, prefix: str) -> Tensor:
        weight = self.tensors[f"{prefix}.weight"]
        return functional.layer_norm(inputs, weight.shape, weight, self.tensors[f"{prefix}.bias"])

    def _convolution(self, inputs: Tensor, prefix: str, stride: int) -> Tensor:
        weight, bias = self.tensors[f"{prefix}.weight"], self.tensors[f"{prefix}.bias"]
        return functional.conv1d(inputs, weight, bias, stride=stride, padding=1)

    def _feed_forward(self, inputs: Tensor, prefix: str) -> Tensor:
        inner = self._linear(self._norm(inputs, f"{prefix}.final_layer_norm"), f"{prefix}.fc1")
        return self._linear(functional.gelu(inner), f"{prefix}.fc2")

    def _self_attention(self, inputs: Tensor, mask: Tensor | None, prefix: str) -> Tensor:
        """`(batch, positions, width)` to the same; mask: `(batch, 1, 1, positions) bool`."""
        batch, positions, width = inputs.shape
        split = (batch, positions, self.architecture.encoder_heads, -1)
        queries, keys, values = (
            self._linear(inputs, f"{prefix}.{which}").view(split).transpose(1, 2)
            for which in ("q_proj", "k_proj", "v_proj")
        )
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        joined = attended.transpose(1, 2).reshape(batch, positions, width)
        return self._linear(joined, f"{prefix}.out_proj")

    def _pooling_attention(
        self, query: Tensor, states: Tensor, positions: Tensor | None, prefix: str
    ) -> Tensor:
        """One query a window over all positions.

        Args:
            query: `(batch or 1, width)`.
            states: `(batch, positions, width)`.
            positions: `(batch, 1, positions) bool`, or None.
            prefix: Of the tensors' names.

        Returns:
            `(batch, width)`.

        """
        width = states.shape[-1]
        heads = self.architecture.decoder_heads
        depth = width // heads
        projected = self._linear(query, f"{prefix}.q_proj") * depth**-0.5
        keys = self.tensors[f"{prefix}.k_proj.weight"].view(heads, depth, width)
        # What each head looks for: (batch, heads, 1, depth) x (heads, depth, width).
        sought = (projected.view(-1, heads, 1, depth) @ keys).view(-1, heads, width)
        scores = sought @ states.transpose(1, 2)
        if positions is not None:
            scores = scores.masked_fill(~positions, float("-inf"))
        pooled = functional.softmax(scores, dim=-1) @ states
        weights = self.tensors[f"{prefix}.v_proj.weight"].view(heads, depth, width)
        values = (pooled[:, :, None] @ weights.transpose(1, 2)).reshape(-1, width)
        values = values + self.tensors[f"{prefix}.v_proj.bias"]
        return self._linear(values, f"{prefix}.out_proj")


def _mean(states: Tensor, positions: Tensor | None) -> Tensor:
    """The mean over the positions that are there: `(batch, positions, n)` to `(batch, n)`."""
    if positions is None:
        return states.mean(dim=1)
    kept = positions.transpose(1, 2)
    return (states * kept).sum(dim=1) / kept.sum(dim=1)
